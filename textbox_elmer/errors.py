"""The one exception that becomes a sentence for the user; both hosts raise it, so it belongs to neither."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something the user can put right: one sentence that names the file, option or line and what to do.

    The command line prints it on stderr and exits with status 2; no traceback is shown.
    """


@contextmanager
def as_user_error() -> Iterator[None]:
    """Let a ValueError of one sentence, as rooms below the hosts say what a user can put right, be a UserError."""
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from error


def is_panic(error: BaseException) -> bool:
    """Say whether a Rust library has panicked: pyo3's exception for that is no `Exception`, and none can import it."""
    return type(error).__name__ == "PanicException"
