"""Files and folders of ours: never half written, never found behind a planted link, never worked on by two at once."""

import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from textbox_elmer.errors import UserError

# What file systems without locks answer; a run on one goes on unguarded.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
NOT_REGULAR = "it is no regular file"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(path: Path, remedy: str) -> Iterator[None]:
    """Turn whatever keeps a file or folder, or what lies in it, from being written into a sentence.

    Args:
        remedy: what the user may do, e.g. "give another --out".

    Raises:
        UserError: an OSError came.
    """
    try:
        yield
    except OSError as error:
        room = "make room there, or " if error.errno in FULL else ""
        reason = "a file is in the way" if isinstance(error, FileExistsError) else error.strerror or error
        raise UserError(f"{str(path)!r} cannot be written ({reason}): {room}{remedy}.") from None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, so that a kill or a full disk leaves the old one, or none, but never half of one.

    Raises:
        OSError: it cannot be written, or something else than a file is there; its `filename` is `path`.
    """
    if path.exists() and not path.is_file():  # a device, say, which would be replaced by a file
        raise OSError(errno.EINVAL, NOT_REGULAR, str(path))
    # A name that nobody can foresee, taken by nobody: a link that lies in wait is never written through.
    temporary = path.parent / f".{secrets.token_hex(8)}.new"
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def open_regular(path: Path) -> IO[bytes]:
    """Open a file to read, never waiting for one that somebody else would have to write to.

    Raises:
        OSError: it cannot be opened, or is a folder, a pipe, a device or the like.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a null character in its name
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, NOT_REGULAR, str(path))


def open_own(path: Path) -> IO[bytes]:
    """Open a file that we keep under a name that others can foresee, to read and append; made where there is none.

    Raises:
        UserError: a link or something else than a file has that name.
        OSError: it cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _planted(path) from None
        raise
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        os.close(descriptor)
        raise _planted(path)
    return os.fdopen(descriptor, "a+b")


def _planted(path: Path) -> UserError:
    return UserError(f"{str(path)!r} is a link or no regular file, so nothing is written there: delete it and repeat.")


def remove(path: Path) -> None:
    """Delete what has a name, if anything: a folder with all in it, of a link the link alone.

    Raises:
        OSError: something cannot be deleted.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def held(path: Path, remedy: str) -> Iterator[None]:
    """Hold a name, of a file or folder that may not be there yet, against all other processes that ask for it so.

    The name is free again when the block is left or the process dies, however it does. Folders above it are made.

    Args:
        remedy: what a user who cannot have it may do besides waiting, e.g. "give another --out".

    Raises:
        UserError: another process holds it, or nothing can be written beside it.
    """
    lock = _beside(Path(os.path.realpath(path)), "lock")
    with writing(path, remedy):
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(lock)
    if descriptor is None:
        raise UserError(f"Another process is at work on {str(path)!r}: wait until it has ended, or {remedy}.")
    try:
        yield
    finally:
        # First the name, while it is still ours: whoever opens the file afterwards makes a new one.
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _locked(lock: Path) -> int | None:
    """Return the open descriptor of a lock file that is ours now, None if it is another's."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            if error.errno in NO_LOCKS:
                return descriptor
            os.close(descriptor)
            raise
        # Its holder may have deleted it in between, and another made it anew: then ours locks nothing.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.lstat(lock)):
                return descriptor
        os.close(descriptor)


@contextmanager
def workspace(folder: Path, remedy: str) -> Iterator[Path]:
    """Hold a folder's name, as `held` does, and lend an empty hidden folder beside it to make its contents in.

    `put` moves what is made into place; whatever is left in the hidden folder goes in the end. What a killed process
    left in it is deleted, and a folder that one had moved aside comes back.

    Raises:
        UserError: another process holds the name, or the hidden folder cannot be made.
    """
    with held(folder, remedy):
        place, aside = _beside(folder, "making"), _beside(folder, "old")
        with writing(folder, remedy):
            if os.path.lexists(aside) and not os.path.lexists(folder):
                aside.rename(folder)
            remove(place)
            place.mkdir()
        try:
            yield place
        finally:
            with suppress(OSError):
                remove(place)


def put(made: Path, folder: Path) -> None:
    """Move a finished folder into place. What was there waits aside, and comes back if the move fails.

    Raises:
        OSError: it cannot be moved.
    """
    aside = _beside(folder, "old")
    if os.path.lexists(folder):
        remove(aside)
        folder.rename(aside)
    try:
        made.rename(folder)
    except OSError:
        if os.path.lexists(aside):
            aside.rename(folder)
        raise
    remove(aside)


def _beside(path: Path, ending: str) -> Path:
    return path.parent / f".{path.name}.{ending}"
