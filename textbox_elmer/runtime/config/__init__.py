"""Configuration: the keys, the YAML layers, the command line, and what they resolve to."""

from textbox_elmer.runtime.config.command_line import parse_command_line
from textbox_elmer.runtime.config.resolve import Config, format_config, resolve_config

__all__ = ["Config", "format_config", "parse_command_line", "resolve_config"]
