import resource

from twisted.trial.unittest import SynchronousTestCase

from hello_service.daemon.limits import raise_descriptor_limit


class RaiseDescriptorLimitTests(SynchronousTestCase):
    def test_soft_becomes_hard(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        raise_descriptor_limit()
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (hard, hard))
