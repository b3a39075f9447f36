"""What is in a room of hello_service, laid out for the drawing: files as bricks, folders around."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import ceil

from tests.imports import floors

BRICK, JOINT, LINE = 26, 6, 17
LETTER = 7.3
"""Pixels that a letter takes, on the wide side of what browsers choose."""


@dataclass(frozen=True)
class Part:
    """A file or a folder. A folder has its parts by floors; they import only from floors below."""

    name: str
    floors: list[list["Part"]]

    @property
    def is_folder(self) -> bool:
        return bool(self.floors)


def part(whole: str, modules: dict[str, set[str]]) -> Part:
    """Return a package or a module as it stands in its room.

    @param modules: what each module imports.
    """

    def inside(names: Iterable[str]) -> set[str]:
        cut = (name.removeprefix(f"{whole}.") for name in names if name.startswith(f"{whole}."))
        return {name.partition(".")[0] for name in cut}

    used: dict[str, set[str]] = {name: set() for name in inside(modules)}
    for module, found in modules.items():
        for name in inside([module]):
            used[name] |= inside(found) - {name}
    order = sorted((-floor, name) for name, floor in floors(used).items())
    return Part(
        whole.rpartition(".")[2],
        [
            [part(f"{whole}.{name}", modules) for _, name in floor]
            for _, floor in groupby(order, lambda one: one[0])
        ],
    )


@dataclass(frozen=True)
class Wall:
    """Floors of parts in rows, no more in a row than there is space for."""

    floors: list[list[Part]]
    width: float

    @cached_property
    def rows(self) -> list[list[Part]]:
        """The parts from the top down; on a floor, files come before folders."""
        kinds = [list(kind) for parts in self.floors
                 for _, kind in groupby(sorted(parts, key=lambda one: one.is_folder),
                                        lambda one: one.is_folder)]  # fmt: skip
        return [row for kind in kinds for row in self.fitting(kind)]

    def fitting(self, parts: list[Part]) -> Iterator[list[Part]]:
        need = max(len(one.name) for one in parts) * LETTER + 2 * JOINT
        most = next(n for n in range(len(parts), 0, -1) if n == 1 or self.each(n) >= need)
        count = ceil(len(parts) / ceil(len(parts) / most))
        return (parts[start : start + count] for start in range(0, len(parts), count))

    def each(self, count: int) -> float:
        """Return how wide a part is in a row of C{count}."""
        return (self.width - JOINT * (count - 1)) / count

    def within(self, folder: Part, count: int) -> "Wall":
        """Return what is in a folder that stands in a row of C{count}."""
        return Wall(folder.floors, self.each(count) - 2 * JOINT)

    def row_height(self, row: list[Part]) -> int:
        folders = [self.within(one, len(row)).height for one in row if one.is_folder]
        return max(folders) + LINE + 2 * JOINT if folders else BRICK

    @cached_property
    def height(self) -> int:
        return sum(self.row_height(row) + JOINT for row in self.rows) - JOINT

    def lines(self, left: float, y: int) -> Iterator[str]:
        """Draw it as SVG, from its upper left corner."""
        for row in self.rows:
            width, height = self.each(len(row)), self.row_height(row)
            for number, one in enumerate(row):
                x = left + number * (width + JOINT)
                kind = "folder" if one.is_folder else "brick"
                yield (f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}"'
                       f' height="{height}" rx="4"/>')  # fmt: skip
                if one.is_folder:
                    yield (f'<text class="name" x="{x + JOINT:.1f}" y="{y + 17}">'
                           f"{one.name}/</text>")  # fmt: skip
                    yield from self.within(one, len(row)).lines(x + JOINT, y + LINE + JOINT)
                else:
                    x += width / 2
                    yield f'<text class="file" x="{x:.1f}" y="{y + 17}">{one.name}</text>'
            y += height + JOINT
