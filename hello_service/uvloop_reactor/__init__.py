"""Twisted's asyncio reactor on a uvloop loop, with TCP connections served by uvloop's transports.

C{twistd --reactor=uvloop} installs it for any Twisted program; a program that picks its reactor
itself calls L{hello_service.uvloop_reactor.reactor.install}.

Open C{reactor.py} first, then C{port.py}, which accepts, C{connector.py}, which connects, and
C{transport.py}, which serves.
Nothing here knows of the hello language or of the daemon kit.
"""
