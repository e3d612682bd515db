"""`generate --engine=ray`: one job on all machines of a Ray cluster. Needs the extra `ray`."""
