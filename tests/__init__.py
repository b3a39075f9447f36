"""Tests of hello_service, for trial and for pytest."""

import os
import signal

# The servers of the tests are on loopback, and hello-fetch would tell that it uses no proxy.
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]

# A shell has what it starts in the background ignore SIGINT, and so do all that these start in
# turn: the programs under test must meet Ctrl+C as on a terminal. A handler ends with exec.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
