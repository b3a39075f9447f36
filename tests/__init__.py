"""Tests of hello_service, for trial and for pytest."""

import signal

# A shell has what it starts in the background ignore SIGINT, and so do all that these start in
# turn: the programs under test must meet Ctrl+C as on a terminal. A handler ends with exec.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
