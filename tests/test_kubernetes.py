"""The shipped objects of Kubernetes fit its schema, the daemon and each other."""

import re
from typing import Any

import kubernetes_validate
from twisted.trial.unittest import SynchronousTestCase

from hello_service import __version__
from hello_service.service import Options
from tests.kubernetes import FOLDER, arguments, container, shipped

KINDS = ("Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy")
OLDEST = "1.25"
"""The oldest version that the schemas are there for."""


class KubernetesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.objects = {kind: shipped(kind) for kind in KINDS}
        self.pod = self.objects["Deployment"]["spec"]["template"]
        self.labels = self.pod["metadata"]["labels"]
        self.options = Options()
        self.options.parseOptions(arguments())
        self.ports = {port["name"]: port["containerPort"] for port in container()["ports"]}

    def test_they_fit_the_schema(self) -> None:
        self.assertEqual(len(list(FOLDER.iterdir())), len(KINDS))
        for kind, shown in self.objects.items():
            self.assertEqual(shown["kind"], kind)
            for version in (OLDEST, kubernetes_validate.latest_version()):
                kubernetes_validate.validate(shown, version, strict=True)

    def test_the_schema_finds_faults(self) -> None:
        self.objects["Service"]["spec"]["port"] = 9999
        with self.assertRaises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(self.objects["Service"], OLDEST, strict=True)

    def test_the_drain_is_over_before_the_daemon_is_killed(self) -> None:
        drain = sum(self.options[f"drain-{part}"] for part in ("delay", "grace", "timeout"))
        self.assertGreater(self.pod["spec"]["terminationGracePeriodSeconds"], drain)
        self.assertNotIn("lifecycle", container())

    def test_a_failed_probe_is_noticed_within_the_delay(self) -> None:
        ready = container()["readinessProbe"]
        noticed = ready["periodSeconds"] * ready["failureThreshold"]
        self.assertGreater(self.options["drain-delay"], noticed)

    def test_they_speak_of_the_same_ports(self) -> None:
        status = re.fullmatch(r"tcp:(\d+)", self.options["status"])
        assert status is not None
        told = {"tcp-hello": self.options["port"], "http-status": int(status[1])}
        self.assertEqual(told, self.ports)
        (served,) = self.objects["Service"]["spec"]["ports"]
        self.assertEqual((served["port"], served["targetPort"]), (9999, "tcp-hello"))
        ingress = self.objects["NetworkPolicy"]["spec"]["ingress"]
        let_in = {port["port"]: "from" in rule for rule in ingress for port in rule["ports"]}
        self.assertEqual(let_in, {"tcp-hello": False, "http-status": True})
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.assertEqual(container()[probe]["httpGet"]["port"], "http-status")

    def test_they_speak_of_the_same_pods(self) -> None:
        spec: dict[str, Any] = {kind: shown["spec"] for kind, shown in self.objects.items()}
        (spread,) = self.pod["spec"]["topologySpreadConstraints"]
        for selector in (
            spec["Deployment"]["selector"],
            spec["PodDisruptionBudget"]["selector"],
            spec["NetworkPolicy"]["podSelector"],
            spread["labelSelector"],
        ):
            self.assertEqual(selector, {"matchLabels": self.labels})
        self.assertEqual(spec["Service"]["selector"], self.labels)
        self.assertGreater(
            spec["Deployment"]["replicas"], spec["PodDisruptionBudget"]["maxUnavailable"]
        )

    def test_the_restricted_standard_lets_it_in(self) -> None:
        pod, own = self.pod["spec"]["securityContext"], container()["securityContext"]
        self.assertEqual((pod["runAsNonRoot"], pod["runAsUser"]), (True, 65532))
        self.assertEqual(pod["seccompProfile"], {"type": "RuntimeDefault"})
        self.assertEqual(own["capabilities"], {"drop": ["ALL"]})
        self.assertEqual(
            (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]), (False, True)
        )

    def test_the_image_is_of_this_version(self) -> None:
        self.assertEqual(container()["image"].rpartition(":")[2], __version__)
