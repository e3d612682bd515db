"""How commands read what is typed: argparse, with a sentence that says what to do for every mistake.

A command is a module with `add_parser`, which adds a parser to an ArgumentParser's commands and returns it, and `run`,
which does what a parsed command line asks for. It imports nothing heavy before `run`, so that `--help` comes at once.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from textbox_elmer.errors import UserError
from textbox_elmer.suggest import nearest

# What argparse complains of, and how we say it.
PHRASES = {
    r"argument (\S+): expected one argument": r"\1 needs a value",
    r"argument (\S+): (.*)": r"\1 \2",
    r"the following arguments are required: (.*)": r"`{prog}` needs \1, e.g. {example}",
}


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are UserErrors, and which takes no option twice with different values."""

    def __init__(self, *, example: str = "", many: str = "", open_ended: bool = False, **settings: Any) -> None:
        """Make a parser.

        Args:
            example: a useful command line, for the help and for complaints.
            many: the argument that takes any number of plain words, also such as stand behind options.
            open_ended: whether words that it does not know are left in `more` instead of refused.
            settings: ArgumentParser's.
        """
        settings |= {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}
        super().__init__(epilog=settings.pop("epilog", f"example:\n  {example}"), **settings)
        self.example, self.many, self.open_ended = example, many, open_ended
        self.commands: Mapping[str, argparse.ArgumentParser] = {}
        for name in (None, "store"):
            self.register("action", name, _Once)
        # `cli.main` sees to it, wherever it is typed.
        self.add_argument("--debug", action="store_true", help="show a traceback when something breaks")

    def add_commands(self, **settings: Any) -> Any:
        """Return what `add_subparsers` does, for the `add_parser` of each command."""
        commands = self.add_subparsers(title="commands", metavar="COMMAND", parser_class=Parser, **settings)
        self.commands = commands.choices
        return commands

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse words, as argparse asks each command's parser to do with its own.

        Raises:
            UserError: a word that the parser has no use for.
        """
        if self.commands:
            self._check_command(args[0] if args else "")
        elif not self.open_ended:
            self._check_options(args)
        parsed, unknown = super().parse_known_args(args, namespace)
        if self.open_ended:
            parsed.more = unknown
            return parsed, []
        for word in unknown:
            if word.startswith("-") or not self.many:
                self._refuse(word)
        if unknown:
            getattr(parsed, self.many).extend(unknown)
        return parsed, []

    def error(self, message: str) -> NoReturn:
        """Raise a complaint of argparse as a UserError."""
        for theirs, ours in PHRASES.items():
            if found := re.fullmatch(theirs, message, re.DOTALL):
                message = found.expand(ours.format(prog=self.prog, example=self.example))
                break
        raise UserError(f"{message[:1].upper()}{message[1:]}: `{self.prog} --help` shows the options.")

    def _check_command(self, word: str) -> None:
        if word in self.commands or word.startswith("-"):
            return
        if guess := nearest(word, self.commands):
            raise UserError(f"`{self.prog}` has no command {word!r}: did you mean {guess}?")
        raise UserError(f"`{self.prog}` needs one of {', '.join(self.commands)}: `{self.prog} --help` shows each.")

    def _check_options(self, words: Sequence[str]) -> None:
        # Of an option that is mistyped argparse would first say that it is missing.
        for word in words:
            if word.startswith("--") and word.partition("=")[0] not in self._option_string_actions:
                self._refuse(word)

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("-"):
            raise UserError(f"{word!r} is no option of `{self.prog}`, which is typed, e.g., {self.example}.")
        name = word.partition("=")[0]
        known = [option[2:] for option in self._option_string_actions if option.startswith("--")]
        guess = nearest(name.lstrip("-"), known)
        hint = f"did you mean --{guess}?" if guess else f"`{self.prog} --help` shows which there are."
        raise UserError(f"`{self.prog}` has no option {name}: {hint}")


class _Once(argparse.Action):
    """Stores a value, and refuses another one."""

    typed = False

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        before = getattr(namespace, self.dest, None)
        if self.typed and before != values:
            raise UserError(f"{option_string} is given twice, as {before!r} and as {values!r}: give it once.")
        self.typed = True
        setattr(namespace, self.dest, values)


def whole(text: str) -> int:
    """Read a whole number above 0."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def positive(text: str) -> float:
    """Read a finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text!r}")
    return number


def truth(text: str) -> bool:
    """Read `True` or `False`, in any case."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be True or False, not {text!r}")
    return text.lower() == "true"


def one_of(*words: str) -> Callable[[str], str]:
    """Return what reads one of some words."""

    def read(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"must be {' or '.join(words)}, not {text!r}")
        return text

    return read
