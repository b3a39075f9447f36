"""What can be set about a daemon, with the defaults."""

from collections.abc import Sequence
from dataclasses import dataclass

from hello_service.daemon.balancers import Balancers
from hello_service.daemon.endpoints import MAXIMUM_BACKLOG


@dataclass(frozen=True)
class Settings:
    """What can be set about a daemon.

    @ivar port: for clients without TLS; C{None} is 9999, or none if the daemon listens by TLS.
    @ivar listen: endpoint strings, in place of C{port} and C{interface}.
    @ivar tls_port: for clients with TLS, on C{interface}; C{tls_listen} has strings of endpoints.
    @ivar tls_certificate: the path of the certificate that they get; its key may be there, too.
    @ivar tls_client_ca: authorities of clients' certificates, if clients must have one.
    @ivar tls_check: seconds after which a changed file is noticed; 0 is at a reload only.
    @ivar reuse_port: share C{port} and C{tls_port} with daemons that do so, too.
    @ivar backlog: connections that may wait to be accepted, for endpoints that do not say.
    @ivar max_connections: how many there may be, if there is a limit.
    @ivar max_per_host: how many there may be from one IP address, if there is a limit.
    @ivar proxy_from: the balancers whose connections begin with a PROXY header, if there are any;
        C{balancers} of balancers.py reads them from a text.
    @ivar idle_timeout: seconds after which a client that sends nothing is disconnected, if ever.
    @ivar max_lifetime: seconds after which any client is disconnected, if ever.
    @ivar keepalive: seconds of quiet after which a TCP peer is probed; 0 leaves it to the sockets.
    @ivar name: what it calls itself in the log and in its status.
    @ivar quiet_probes: count the connections that say nothing; the log tells of the others only.
    @ivar drain_delay: seconds that it goes on listening once told to stop.
    @ivar drain_grace: seconds that conversations then have to end by themselves.
    @ivar drain_timeout: seconds that clients then have to take their answers.
    @ivar status: the endpoint string of the status port, if there is one.
    @ivar status_bytes: whether its page shows what clients send and get, to who is on this machine.
    @ivar agent: the endpoint string of the port for HAProxy's agent-check, if there is one.
    """

    port: int | None = None
    interface: str = "127.0.0.1"
    listen: Sequence[str] = ()
    tls_port: int | None = None
    tls_listen: Sequence[str] = ()
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_client_ca: str | None = None
    tls_check: float = 60.0
    reuse_port: bool = False
    backlog: int = MAXIMUM_BACKLOG
    max_connections: int | None = None
    max_per_host: int | None = None
    proxy_from: Balancers | None = None
    idle_timeout: float | None = None
    max_lifetime: float | None = None
    keepalive: int = 60
    name: str = ""
    quiet_probes: bool = False
    drain_delay: float = 0.0
    drain_grace: float = 0.0
    drain_timeout: float = 10.0
    status: str | None = None
    status_bytes: bool = False
    agent: str | None = None
