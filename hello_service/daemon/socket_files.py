"""The file of a UNIX socket: whether it may be made, and whether one that is there is in use."""

import errno
import fcntl
import os
import shlex
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from twisted.internet.error import CannotListenError

from hello_service.daemon.obstacles import Unusable


@contextmanager
def starting_alone(path: str) -> Iterator[None]:
    """Hold a lock, so that of two daemons that start one does not remove the other's new file.

    @raises Unusable: if another daemon holds it, or what has its name cannot be locked.
    """
    lock = f"{path}.starting"
    while True:
        descriptor = _open_lock(lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                break
        except FileNotFoundError:  # whoever held it has removed it in between
            pass
        except BlockingIOError:
            os.close(descriptor)
            raise Unusable(
                "is being taken by another daemon that is starting: try again."
            ) from None
        os.close(descriptor)
    try:
        yield
    finally:
        os.unlink(lock)
        os.close(descriptor)


def _open_lock(lock: str) -> int:
    try:
        return os.open(lock, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError:
        if os.path.lexists(lock):
            raise Unusable(
                f"needs {shlex.quote(lock)} while the daemon starts, and what is there is not its"
                " own: see what it is and remove it."
            ) from None
        raise


def clear_stale(path: str) -> None:
    """Remove a socket that nobody listens on.

    @raises CannotListenError: if somebody does.
    @raises Unusable: if it is not a socket, or another user's.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        example = shlex.quote(os.path.join(path, "name.sock"))
        raise Unusable(f"is a folder: name a file in it, like {example}.")
    if not stat.S_ISSOCK(mode):
        raise Unusable("is a file but not a socket: choose another name, or remove it yourself.")
    if _answers(path):
        raise CannotListenError(None, path, OSError(errno.EADDRINUSE, ""))
    try:
        os.unlink(path)
    except PermissionError:
        raise Unusable(
            "is a socket that nobody listens on and that this user may not remove:"
            f" `sudo rm {shlex.quote(path)}`, or choose another name."
        ) from None


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except PermissionError:
            raise Unusable(
                "is a socket of another user: choose another name, or have that user remove it."
            ) from None
        except OSError:  # too many wait to be accepted there, or it takes no streams
            return True
        return True


def explain_file(path: str, error: OSError) -> str:
    """Say why a socket's file cannot be made, to follow its name."""
    folder = shlex.quote(os.path.dirname(path) or ".")
    match error.errno:
        case errno.ENOENT:
            return f"is in a folder that is not there: make the folder first, `mkdir -p {folder}`."
        case errno.ENOTDIR:
            return f"cannot be made, because {folder} is not a folder: choose another."
        case errno.EACCES:
            return (
                f"is in a folder where this user may not write, {folder}: choose another, or have"
                " one made for the user (RuntimeDirectory= in a systemd unit)."
            )
        case None | errno.ENAMETOOLONG:
            return (
                f"is a path of {len(os.fsencode(path))} bytes, and for a UNIX socket the system"
                " takes 107 at most (103 on macOS): choose a shorter one, or one relative to the"
                " folder that the daemon runs in (--rundir)."
            )
        case _:
            return f"cannot be made: {error.strerror}."
