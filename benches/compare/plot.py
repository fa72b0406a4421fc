"""A picture of curves on logarithmic axes, as SVG."""

import math
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 36, 36, 96
COLOURS = ["#0b6fb8", "#d1495b", "#6b8e23", "#8d6a9f"]
STYLE = "font-family:system-ui,sans-serif;font-size:12px"


@dataclass
class Panel:
    """Curves over one quantity: points of each by its name."""

    title: str
    curves: dict[str, list[tuple[float, float]]]
    #: How numbers are written along the axes.
    across: callable
    up: callable


def picture(panels: list[Panel]) -> str:
    drawn = "".join(f'<g transform="translate({i * WIDTH},0)">{panel_of(panel)}</g>' for i, panel in enumerate(panels))
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT}"'
    # A background of its own, for pages that are dark.
    ground = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{STYLE}">{ground}{drawn}</svg>\n'


def panel_of(panel: Panel) -> str:
    points = [point for curve in panel.curves.values() for point in curve]
    xs, ys = ([math.log10(value) for value in values] for values in zip(*points, strict=True))
    x_axis = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    y_axis = Axis(math.floor(min(ys)), math.ceil(max(ys)), HEIGHT - BOTTOM, TOP)
    parts = [text((LEFT + WIDTH - RIGHT) / 2, 20, panel.title, "middle", "font-weight:bold")]
    for value in sorted({x for x, _ in points}):
        parts.append(text(x_axis.at(value), HEIGHT - BOTTOM + 18, panel.across(value), "middle"))
    for value in y_axis.decades():
        y = y_axis.at(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(text(LEFT - 6, y + 4, panel.up(value), "end"))
    for i, (name, curve) in enumerate(panel.curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        places = [(x_axis.at(x), y_axis.at(y)) for x, y in curve]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        row, column = divmod(i, 2)
        x, y = LEFT + column * (WIDTH - LEFT) / 2, HEIGHT - BOTTOM + 44 + row * 20
        parts.append(f'<path d="M{x} {y - 4}h18" stroke="{colour}" stroke-width="2"/>' + text(x + 24, y, name))
    return "".join(parts)


@dataclass
class Axis:
    """Places of values between two edges, by their logarithms."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        # One value alone is in the middle.
        share = (math.log10(value) - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + share * (self.end - self.start)

    def decades(self) -> list[float]:
        """The whole decades of an axis that begins and ends with one."""
        return [10.0**exponent for exponent in range(int(self.low), int(self.high) + 1)]


def text(x: float, y: float, words: str, anchor: str = "start", style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{style}">{escape(words)}</text>'
