"""Draws docs/architecture.svg, the rooms of hello_service and their imports: C{make drawing}."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tests.imports import LEAVES, PACKAGE, floors, imports, room
from tests.walls import JOINT, LETTER, LINE, Part, Wall, part

DRAWING = PACKAGE.parent / "docs" / "architecture.svg"

COLUMNS = (158, 158, 168, 158, 202, 220)
"""Widths of the columns, in pixels; a room takes one or more of them."""

GAP, MARGIN, PADDING = 24, 24, 12
STOREY = 54
"""Pixels between two floors, for the arrows."""


class Place(NamedTuple):
    """Where a room stands, from its first column to its last, and what it is for."""

    first: int
    last: int
    purpose: str


PLACES = {
    "service": Place(0, 1, "what `twistd hello` is told"),
    "cli": Place(3, 5, "the commands hello-client and hello-fetch"),
    "server": Place(1, 1, "answers the names"),
    "client": Place(3, 3, "says the names"),
    "daemon": Place(0, 1, "the kit, for any Twisted daemon"),
    "conversation": Place(2, 2, "the hello language, without I/O"),
    "fetch": Place(3, 4, "the HTTP agent that keeps what was on the wire"),
    "uvloop_reactor": Place(5, 5, "Twisted's reactor on uvloop's transports"),
}
"""By hand, so that arrows go straight down, or aside to the next column."""

STYLE = """
  text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1f2933; }
  .title { font-size: 17px; font-weight: 600; }
  .name { font-weight: 600; }
  .file { font: 12px ui-monospace, "DejaVu Sans Mono", monospace; text-anchor: middle; }
  .note { fill: #52606d; }
  .paper { fill: #fbfaf7; stroke: #d9d4c7; }
  .room { fill: #eef2f6; stroke: #8295a8; }
  .leaf { fill: #f3efe2; stroke: #b8a878; }
  .folder { fill: #dde5ed; stroke: #a3b3c2; }
  .brick { fill: #ffffff; stroke: #b6c2ce; }
  .arrow { stroke: #3e6a9e; stroke-width: 1.6; fill: none; marker-end: url(#head); }
  #head path { fill: #3e6a9e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e7eb; }
    .note { fill: #9fb0c0; }
    .paper { fill: #14181d; stroke: #39424c; }
    .room { fill: #1e2731; stroke: #5c7287; }
    .leaf { fill: #2a2719; stroke: #7d7145; }
    .folder { fill: #293542; stroke: #4d6276; }
    .brick { fill: #14181d; stroke: #465564; }
    .arrow { stroke: #7fb2ea; }
    #head path { fill: #7fb2ea; }
  }
"""


@dataclass(frozen=True)
class Box:
    """A room as it is drawn: its name, what it is for, and its files in rows."""

    name: str
    place: Place
    floors: list[list[Part]]

    @cached_property
    def x(self) -> int:
        return MARGIN + sum(COLUMNS[: self.place.first]) + GAP * self.place.first

    @cached_property
    def width(self) -> int:
        columns = COLUMNS[self.place.first : self.place.last + 1]
        return sum(columns) + GAP * (len(columns) - 1)

    @cached_property
    def purpose(self) -> list[str]:
        return textwrap.wrap(self.place.purpose, int((self.width - 2 * PADDING) / LETTER))

    @cached_property
    def wall(self) -> Wall:
        return Wall(self.floors, self.width - 2 * PADDING)

    @cached_property
    def height(self) -> int:
        text = 2 * PADDING + LINE * (1 + len(self.purpose))
        return text + (self.wall.height + JOINT if self.floors else -JOINT)

    def centre(self, column: int) -> int:
        return MARGIN + sum(COLUMNS[:column]) + GAP * column + COLUMNS[column] // 2

    @property
    def columns(self) -> set[int]:
        return set(range(self.place.first, self.place.last + 1))


def boxes() -> dict[str, Box]:
    """Return what to draw for each room."""
    modules = imports()
    return {name: Box(name, place, part(name, modules).floors) for name, place in PLACES.items()}


def uses() -> dict[str, set[str]]:
    """Return which rooms each room imports, the leaves left out."""
    found: dict[str, set[str]] = {name: set() for name in PLACES}
    for module, names in imports().items():
        if room(module) not in LEAVES:
            found[room(module)] |= {room(name) for name in names} - LEAVES - {room(module)}
    return found


def box_lines(box: Box, top: int) -> Iterator[str]:
    """Draw a room with its files."""
    shown = f"{box.name}/" if box.floors else f"{box.name}.py"
    yield (f'<rect class="room" x="{box.x}" y="{top}" width="{box.width}"'
           f' height="{box.height}" rx="8"/>')  # fmt: skip
    y = top + PADDING + 12
    yield f'<text class="name" x="{box.x + PADDING}" y="{y}">{shown}</text>'
    for line in box.purpose:
        y += LINE
        yield f'<text class="note" x="{box.x + PADDING}" y="{y}">{line}</text>'
    yield from box.wall.lines(box.x + PADDING, y + JOINT + 3)


def arrow_line(above: Box, below: Box, between: list[Box], start: int, end: int) -> str:
    """Draw an import: straight down a column that both are in, or aside to the next column."""
    taken = {column for box in between for column in box.columns}
    if both := sorted((above.columns & below.columns) - taken):
        x = to = above.centre(both[0])
    elif not between and above.place.last + 1 == below.place.first:
        x, to = above.x + above.width - 20, below.x + 30
    elif not between and above.place.first == below.place.last + 1:
        x, to = above.x + 20, below.x + below.width - 30
    else:
        raise AssertionError(f"{above.name} to {below.name} crosses a room: change PLACES")
    return f'<path class="arrow" d="M {x} {start} L {to} {end}"/>'


def drawing() -> str:
    """Return the drawing as SVG."""
    rooms, used = boxes(), uses()
    storey = floors(used)
    width = MARGIN + sum(COLUMNS) + GAP * (len(COLUMNS) - 1) + MARGIN
    tops: dict[str, int] = {}
    y = 86
    for floor in range(max(storey.values()), -1, -1):
        here = [name for name in rooms if storey[name] == floor]
        tops |= dict.fromkeys(here, y)
        y += max(rooms[name].height for name in here) + STOREY
    leaves = ", ".join(f"{name}.py" for name in ["__init__", *sorted(LEAVES - {""})])
    ground = y - STOREY + GAP
    lines = [
        f'<rect class="paper" x="0.5" y="0.5" width="{width - 1}" height="{ground + 70}" rx="10"/>',
        f'<text class="title" x="{MARGIN}" y="36">hello_service: who imports whom</text>',
        f'<text class="note" x="{MARGIN}" y="58">An arrow is an import. Within a room, a file'
        " or folder imports only what stands below it.</text>",
    ]
    for name, names in used.items():
        for other in sorted(names):
            between = [rooms[one] for one in rooms if storey[other] < storey[one] < storey[name]]
            start = tops[name] + rooms[name].height
            lines.append(arrow_line(rooms[name], rooms[other], between, start, tops[other] - 2))
    for name, box in rooms.items():
        lines += box_lines(box, tops[name])
    lines += [
        f'<rect class="leaf" x="{MARGIN}" y="{ground}" width="{width - 2 * MARGIN}" height="46"'
        ' rx="8"/>',
        f'<text x="{MARGIN + PADDING}" y="{ground + 28}"><tspan class="name">{leaves}</tspan>'
        '<tspan class="note" dx="12">any room may import these; they import nothing of'
        " ours</tspan></text>",
    ]
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto"><path d="M 0 0 L 8 4 L 0 8 z"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {ground + 71}"'
        f' width="{width}" height="{ground + 71}" role="img">\n'
        f"<title>Which rooms of hello_service import which</title>\n<style>{STYLE}</style>\n"
        f"<defs>{head}</defs>\n" + "\n".join(lines) + "\n</svg>\n"
    )


def main(path: Path = DRAWING) -> None:
    path.write_text(drawing())


if __name__ == "__main__":
    main()
