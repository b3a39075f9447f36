"""Who imports whom in hello_service, read from its files."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import hello_service

PACKAGE = Path(hello_service.__file__).parent

LEAVES = {"", "address", "values"}
"""Modules that any room may import: constants, and how addresses and values are written."""

ALLOWED: dict[str, set[str]] = {
    "conversation": set(),
    "fetch": set(),
    "daemon": set(),
    "uvloop_reactor": set(),
    "server": {"conversation", "daemon"},
    "client": {"conversation"},
    "cli": {"client", "fetch"},
    "service": {"server", "daemon"},
}
"""The rooms that each room may import, besides the leaves; the leaves import nothing of ours."""


def imported(node: ast.AST) -> list[str]:
    """Return the dotted names that one statement imports."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0, module=str(module)):
            return [f"{module}.{alias.name}" for alias in node.names]
        case ast.ImportFrom():
            raise AssertionError("relative imports hide what they name")
        case _:
            return []


def trees() -> dict[str, ast.Module]:
    """Return the syntax of each module, by its name below hello_service; that itself is ""."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts).removesuffix("__init__").removesuffix(".")
        found[name] = ast.parse(path.read_text())
    return found


def imports() -> dict[str, set[str]]:
    """Return which modules of hello_service each of them imports, anywhere in the file."""
    modules = trees()
    found: dict[str, set[str]] = {}
    for module, tree in modules.items():
        names = {name for node in ast.walk(tree) for name in imported(node)}
        ours = {name.removeprefix("hello_service").removeprefix(".") for name in names
                if name.partition(".")[0] == "hello_service"}  # fmt: skip
        found[module] = {name if name in modules else name.rpartition(".")[0] for name in ours} - {
            module
        }
    return found


def room(module: str) -> str:
    """Return the room that a module is in: its package, or itself."""
    return module.partition(".")[0]


def floors(uses: dict[str, set[str]]) -> dict[str, int]:
    """Return how high each node stands: one above the highest that it uses, 0 if it uses none.

    @raise graphlib.CycleError: if they go round in a circle.
    """
    found: dict[str, int] = {}
    for node in TopologicalSorter(uses).static_order():
        found[node] = max((found[other] + 1 for other in uses.get(node, ())), default=0)
    return found


def reached(module: str, uses: dict[str, set[str]]) -> set[str]:
    """Return a module with all that it imports, directly or by way of others."""
    return {module}.union(*(reached(other, uses) for other in uses[module]))
