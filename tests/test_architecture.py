"""Imports go one way, and the reactor is not imported by importing a module."""

import ast
from graphlib import CycleError

from twisted.trial.unittest import SynchronousTestCase

from tests.drawing import DRAWING, drawing
from tests.imports import ALLOWED, LEAVES, floors, imported, imports, reached, room, trees


class ImportTests(SynchronousTestCase):
    def test_rooms_know_only_what_they_may(self) -> None:
        for module, found in imports().items():
            here = room(module)
            allowed = ALLOWED[here] | LEAVES if here not in LEAVES else set()
            self.assertLessEqual({room(name) for name in found} - {here}, allowed, module)

    def test_every_room_is_there(self) -> None:
        self.assertEqual({room(module) for module in trees()}, set(ALLOWED) | LEAVES)

    def test_no_file_imports_itself_by_way_of_others(self) -> None:
        self.assertEqual(floors({"a": {"b", "c"}, "b": {"c"}}), {"a": 2, "b": 1, "c": 0})
        self.assertRaises(CycleError, floors, {"a": {"b"}, "b": {"a"}})
        floors(imports())

    def test_what_one_command_imports_is_in_its_folder(self) -> None:
        needs = {name: reached(f"cli.{name}.command", imports()) for name in ("client", "fetch")}
        for module in filter(lambda one: room(one) == "cli", set().union(*needs.values())):
            users = [name for name, found in needs.items() if module in found]
            folder = users if len(users) == 1 else []
            self.assertEqual(module.split(".")[1:-1], folder, module)

    def test_the_drawing_shows_what_the_code_imports(self) -> None:
        self.assertEqual(DRAWING.read_text(), drawing(), "make drawing")

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
        self.assertEqual(reactors, ["daemon.global_reactor"])
