"""Listening on a UNIX socket, from making its file to removing it.

Twisted's own port keeps other daemons off by a lock file that holds its process id. After a kill,
that id may belong to another process (in a container it always does), and then the file stays
locked for good. Here a file is in use if somebody accepts a connection on it, and a socket that
nobody listens on is taken over. Twisted's lock files are ignored.
"""

import grp
import os
import pwd
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorFDSet,
    IStreamServerEndpoint,
)
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hello_service.daemon.obstacles import Unusable
from hello_service.daemon.socket_files import clear_stale, explain_file, starting_alone

_DONE = Failure(CONNECTION_DONE)
_LARGEST_ID = 2**32 - 2  # the next one means "leave it as it is"


class UNIXPort(unix.Port):
    """Twisted's port, on a socket that listens already.

    @param own_file: whether the file of the socket is removed at the end, if it is still the
        same file then.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorFDSet,
        factory: IProtocolFactory,
        listening: socket.socket,
        own_file: bool,
    ) -> None:
        path = listening.getsockname()
        super().__init__(path, factory, reactor=reactor)
        self._listening = listening
        self._file = os.lstat(path) if own_file else None
        self._shouldShutdown = own_file  # to shut it down is to do so for all who have it

    def startListening(self) -> None:
        """Accept connections."""
        self.factory.doStart()  # type: ignore[union-attr]
        self.connected = True
        self.socket = self._listening
        self.socket.setblocking(False)
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.numberAccepts = 100
        self.startReading()  # type: ignore[no-untyped-call]

    def loseConnection(self, connDone: Failure = _DONE) -> Any:
        """Remove the file at once, and stop listening."""
        self._remove_file()
        return super().loseConnection(connDone)  # type: ignore[no-untyped-call]

    stopListening = loseConnection

    def connectionLost(self, reason: Failure) -> None:
        """Close the socket."""
        self._remove_file()
        tcp.Port.connectionLost(self, reason)

    def _remove_file(self) -> None:
        file, self._file = self._file, None
        path = self._bindPath
        try:
            if file and os.path.samestat(os.lstat(path), file):
                os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._log.warn(
                "{path} is left behind ({why}); the next start takes it over.",
                path=os.fsdecode(path),
                why=error.strerror,
            )


@implementer(IStreamServerEndpoint)
class UNIXEndpoint:
    """A UNIX socket's file, to listen on once.

    @param mode: the permissions of the file.
    @param user: who owns it, and C{group} likewise; -1 is whoever makes it.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        path: str,
        backlog: int,
        mode: int = 0o666,
        user: int = -1,
        group: int = -1,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._backlog = backlog
        self._mode = mode
        self._user = user
        self._group = group

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Make the file and listen.

        @return: fails with L{CannotListenError} if somebody listens there, else with L{Unusable}.
        """
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        try:
            with starting_alone(self._path):
                clear_stale(self._path)
                listening = self._bind()
        except OSError as error:
            raise Unusable(explain_file(self._path, error)) from error
        port = UNIXPort(self._reactor, factory, listening, own_file=True)
        port.startListening()
        return port

    def _bind(self) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX)
        try:
            listening.bind(self._path)
            try:
                self._give_away()
                listening.listen(self._backlog)
            except BaseException:
                os.unlink(self._path)
                raise
        except BaseException:
            listening.close()
            raise
        return listening

    def _give_away(self) -> None:
        os.chmod(self._path, self._mode)  # nobody can connect before listen()
        if self._user != -1 or self._group != -1:
            try:
                os.chown(self._path, self._user, self._group)
            except PermissionError:
                raise Unusable(
                    "takes a right that this user has not, to give the file away: start as root"
                    " with --uid and --gid, or leave user= out and name a group= of this user."
                ) from None


def unix_endpoint(
    reactor: Any,
    backlog: str,
    address: str,
    mode: str = "666",
    user: str | None = None,
    group: str | None = None,
    lockfile: str = "0",
) -> UNIXEndpoint:
    """Make the endpoint of what an endpoint string says.

    @param backlog: a number.
    @param lockfile: is left unused; Twisted's endpoint has it.
    @raises ValueError: with a sentence about the part that is wrong.
    """
    if not address:
        raise ValueError("the path of the socket is missing, as in unix:/run/name.sock.")
    if lockfile not in ("0", "1"):
        raise ValueError("lockfile= is 0 or 1, and neither has an effect: leave it out.")
    if not re.fullmatch("(0o)?0*[0-7]{1,3}", mode):
        raise ValueError(
            f"mode={mode} is not a file mode: write three octal digits, like 660 for the owner and"
            " the group."
        )
    return UNIXEndpoint(
        reactor,
        address,
        int(backlog),
        int(mode, 8),
        _number("user", user, lambda name: pwd.getpwnam(name).pw_uid),
        _number("group", group, lambda name: grp.getgrnam(name).gr_gid),
    )


def _number(kind: str, text: str | None, look_up: Callable[[str], int]) -> int:
    if text is None:
        return -1
    if not text:
        raise ValueError(f"{kind}= is empty: give a name or a number, or leave it out.")
    if re.fullmatch("[0-9]+", text):
        if len(text) > 10 or int(text) > _LARGEST_ID:
            raise ValueError(
                f"{kind}={text} is too large: the number of a {kind} is {_LARGEST_ID} at most."
            )
        return int(text)
    with suppress(KeyError, UnicodeError):
        return look_up(text)
    table = {"user": "passwd", "group": "group"}[kind]
    raise ValueError(
        f"{kind}={text} is not a {kind} of this machine: `getent {table}` lists all of them."
    )
