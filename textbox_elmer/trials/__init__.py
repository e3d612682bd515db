"""Several runs that belong together: each in a process of its own, none made twice, a stopped one continued."""
