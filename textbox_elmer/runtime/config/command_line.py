"""`--key=value`, `--key value`, `-m M`, `-d D`, `--config_files a.yaml b.yaml`, `--textbox_home=DIR`, `--debug`."""

from collections.abc import Sequence
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.config.values import read_option

SHORT = {"-m": "--model", "-d": "--dataset"}
FILES = "config_files"
DEBUG = "debug"
HOME = "textbox_home"
TRIALS = ("multi_seed", "space", "algo", "max_evals")


def parse_command_line(argv: Sequence[str]) -> dict[str, Any]:
    """Return the options of a command line, values read as YAML.

    `config_files` is a list of paths, `debug` is True, `textbox_home` is the text that was typed.

    Raises:
        UserError: a word that belongs to no option, an option without value or with two different ones, bad YAML.
    """
    options: dict[str, Any] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, text = word.partition("=")
        name = SHORT.get(name, name)
        if not name.startswith("--") or len(name) == 2:
            raise UserError(f"{word!r} is no option: options are typed --key=value.")
        key = name[2:]
        if key == FILES:
            files = [text] if equals else []
            while words and not words[0].startswith("-"):
                files.append(words.pop(0))
            if not any(files):
                raise UserError(f"--{FILES} needs at least one YAML file.")
            options[FILES] = options.get(FILES, []) + files
            continue
        if key == DEBUG:
            if equals:
                raise UserError(f"--{DEBUG} takes no value: leave {word.removeprefix(name)!r} out.")
            options[DEBUG] = True
            continue
        if not equals:
            if not words or words[0].startswith("--"):
                raise UserError(f"{name} needs a value: {name}=…")
            text = words.pop(0)
        value = text if key == HOME else read_option(key, text)
        if key in options and options[key] != value:
            raise UserError(f"{name} is given twice, as {options[key]!r} and as {value!r}: give it once.")
        options[key] = value
    return options
