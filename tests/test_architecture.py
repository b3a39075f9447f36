"""Imports go one way, and the reactor is not imported by importing a module."""

import ast
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import hello_service

PACKAGE = Path(hello_service.__file__).parent

ALLOWED: dict[str, set[str]] = {
    "": set(),
    "address": set(),
    "conversation": set(),
    "input_lines": set(),
    "options": set(),
    "trouble": set(),
    "command": {"options", "trouble"},
    "server": {"address", "conversation"},
    "client": {"conversation"},
    "client_command": {"", "client", "command", "input_lines", "options", "trouble"},
    "service": {"", "address", "conversation", "daemon", "options", "server"},
    "daemon": set(),
}
"""Which modules of hello_service each one may import; "" is the package itself."""


def part(module: str) -> str:
    """The part of the house that a dotted name under hello_service is in."""
    return module.removeprefix("hello_service").removeprefix(".").partition(".")[0]


def imports(node: ast.AST) -> list[str]:
    """The dotted names that one statement imports."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0, module=str(module)):
            if any(
                (PACKAGE.parent / module.replace(".", "/") / f"{alias.name}.py").exists()
                for alias in node.names
            ):
                return [f"{module}.{alias.name}" for alias in node.names]
            return [module]
        case ast.ImportFrom():
            raise AssertionError("relative imports hide what they name")
        case _:
            return []


class ImportTests(SynchronousTestCase):
    def test_one_way(self) -> None:
        for path in PACKAGE.rglob("*.py"):
            module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            here = part(module.removesuffix("__init__"))
            found = {
                part(name)
                for node in ast.walk(ast.parse(path.read_text()))
                for name in imports(node)
                if name.partition(".")[0] == "hello_service"
            }
            self.assertLessEqual(found - {here}, ALLOWED[here], path)

    def test_no_reactor_and_no_old_log_at_module_level(self) -> None:
        for path in PACKAGE.rglob("*.py"):
            tree = ast.parse(path.read_text())
            top = [name for node in tree.body for name in imports(node)]
            everywhere = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            reactors = [
                node
                for node in everywhere
                if node.module == "twisted.internet"
                and any(alias.name == "reactor" for alias in node.names)
            ]
            self.assertEqual(len(reactors), int(path.name == "service.py"), path)
            self.assertFalse([node for node in reactors if node in tree.body], path)
            self.assertNotIn("twisted.python.log", top, path)
