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
    "trouble": {""},
    "command": {"options", "trouble"},
    "commands": {"client_command", "fetch_command"},
    "server": {"address", "conversation"},
    "client": {"conversation"},
    "client_command": {
        "",
        "client",
        "command",
        "conversation",
        "input_lines",
        "options",
        "trouble",
    },
    "service": {"", "address", "conversation", "daemon", "options", "server"},
    "daemon": set(),
    # The fetcher: what is pure, the agent, the command.
    "fetch_errors": set(),
    "request": set(),
    "coding": set(),
    "saving": set(),
    "headers": set(),
    "connect": set(),
    "head": {"fetch_errors"},
    "response": {"fetch_errors", "head"},
    "wire": {"connect", "response"},
    "raw_response": {"fetch_errors", "head", "response", "wire"},
    "exchange": {"connect", "fetch_errors", "raw_response", "response", "wire"},
    "fetch": {"exchange", "headers", "raw_response", "request", "wire"},
    "showing": {"address", "wire"},
    "receiving": {"coding", "fetch_errors", "raw_response", "saving"},
    "fetch_options": {"", "options", "request"},
    "fetch_trouble": {
        "coding", "fetch_errors", "raw_response", "request", "showing", "trouble",
    },
    "fetch_command": {
        "coding", "command", "exchange", "fetch", "fetch_options", "fetch_trouble", "headers",
        "options", "raw_response", "receiving", "request", "saving", "showing", "trouble", "wire",
    },
}  # fmt: skip
"""Which modules of hello_service each one may import; "" is the package itself."""


def part(name: str) -> str:
    """The part of the house that a dotted name under hello_service is in."""
    first = name.removeprefix("hello_service").removeprefix(".").partition(".")[0]
    return first if first in ALLOWED else ""


def imports(node: ast.AST) -> list[str]:
    """The dotted names that one statement imports."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0, module=str(module)):
            return [f"{module}.{alias.name}" for alias in node.names]
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
            reactors = [
                node for node in ast.walk(tree) if "twisted.internet.reactor" in imports(node)
            ]
            self.assertEqual(len(reactors), int(path.name == "service.py"), path)
            functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
            within = [node for function in functions for node in ast.walk(function)]
            self.assertEqual([node for node in reactors if node not in within], [], path)
            everything = [name for node in ast.walk(tree) for name in imports(node)]
            old = [name for name in everything if f"{name}.".startswith("twisted.python.log.")]
            self.assertEqual(old, [], path)
