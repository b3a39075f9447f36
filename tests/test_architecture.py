"""Imports go one way, and the reactor is not imported by importing a module."""

import ast

from twisted.trial.unittest import SynchronousTestCase

from tests.imports import ALLOWED, LEAVES, imported, imports, room, trees


class ImportTests(SynchronousTestCase):
    def test_rooms_know_only_what_they_may(self) -> None:
        for module, found in imports().items():
            here = room(module)
            allowed = ALLOWED[here] | LEAVES if here not in LEAVES else set()
            self.assertLessEqual({room(name) for name in found} - {here}, allowed, module)

    def test_every_room_is_there(self) -> None:
        self.assertEqual({room(module) for module in trees()}, set(ALLOWED) | LEAVES)

    def test_no_reactor_and_no_old_log_at_module_level(self) -> None:
        reactors = []
        for module, tree in trees().items():
            functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
            within = {node for function in functions for node in ast.walk(function)}
            for node in ast.walk(tree):
                names = imported(node)
                if "twisted.internet.reactor" in names:
                    reactors.append(module)
                    self.assertIn(node, within, module)
                old = [name for name in names if f"{name}.".startswith("twisted.python.log.")]
                self.assertEqual(old, [], module)
        # What twistd's --logger names is called with nothing.
        self.assertEqual(sorted(reactors), ["daemon.jsonlog", "daemon.process"])
