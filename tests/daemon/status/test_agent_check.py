from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.status.agent_check import AgentFactory


class AgentCheckTests(SynchronousTestCase):
    def test_says_one_line_and_closes(self) -> None:
        for draining, line in ((False, b"up ready\n"), (True, b"drain\n")):
            transport = StringTransport()
            AgentFactory(lambda now=draining: now).buildProtocol(None).makeConnection(transport)  # type: ignore[misc]
            self.assertEqual((transport.value(), transport.disconnecting), (line, True))
