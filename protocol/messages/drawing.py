"""The drawing of a world after a slot: points, lines, circles, labels and bars, which every renderer draws alike.

Positions are in the drawing's own units; y points up. Sizes of marks are in thousandths of the drawing's width, so that
marks stay readable whatever the unit is. A *resource* is a number (of a resource block, a subband): renderers give each
its colour, and its shape as a marker; -1 is none, a grey cross as a marker.
"""

from typing import Literal

from msgspec import Struct

Shape = Literal["marker", "dot", "ring", "star"]
Tone = Literal["quiet", "accent", "warning"]


class Point(Struct, frozen=True, omit_defaults=True):
    """A mark at a place. `shape`: marker takes the resource's; the others its colour alone, without one the text's.
    `size`: the radius. `hollow`: an outline only, as of what failed. `alarm`: with a warning ring around it. `label`:
    inside the mark. `about`: for who points at it."""

    x: float
    y: float
    shape: Shape = "dot"
    resource: int | None = None
    size: float = 9.0
    hollow: bool = False
    alarm: bool = False
    label: str = ""
    about: str = ""


class Line(Struct, frozen=True, omit_defaults=True):
    """A line from (x1, y1) to (x2, y2). `heads`: arrow heads at its end or both ends. `bend`: how far its middle lies
    left of the straight way, as a share of its length. `gap`: how far from both places it ends. Without a resource it
    has the colour of its `tone`."""

    x1: float
    y1: float
    x2: float
    y2: float
    style: Literal["solid", "dotted", "dashed", "wide"] = "solid"
    heads: Literal["none", "end", "both"] = "none"
    bend: float = 0.0
    gap: float = 0.0
    resource: int | None = None
    tone: Tone = "quiet"


class Circle(Struct, frozen=True):
    """The outline of an area, such as a cell."""

    x: float
    y: float
    radius: float


class Label(Struct, frozen=True, omit_defaults=True):
    """A text, centred at a place. `boxed`: in a frame."""

    x: float
    y: float
    text: str
    boxed: bool = False


class Bar(Struct, frozen=True, omit_defaults=True):
    """A small upright gauge that stands on (x, y), filled to `share` in [0, 1]. `label`: below it."""

    x: float
    y: float
    share: float
    label: str = ""
    about: str = ""


class LegendEntry(Struct, frozen=True, omit_defaults=True):
    """What a mark means; the sample's place does not matter. An entry without a sample is a remark."""

    text: str
    point: Point | None = None
    line: Line | None = None
    bar: Bar | None = None


class Table(Struct, frozen=True):
    """The drawing's content in words and numbers, row by row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]


class Drawing(Struct, frozen=True, omit_defaults=True):
    """`summary`: one sentence for those who do not see it. `unit`: of positions, which are then drawn to scale; "" for
    a scheme without distances. Later kinds are drawn over earlier ones: circles, lines, points, bars, labels."""

    summary: str
    left: float
    right: float
    bottom: float
    top: float
    unit: str = ""
    circles: tuple[Circle, ...] = ()
    lines: tuple[Line, ...] = ()
    points: tuple[Point, ...] = ()
    bars: tuple[Bar, ...] = ()
    labels: tuple[Label, ...] = ()
    legend: tuple[LegendEntry, ...] = ()
    table: Table | None = None
