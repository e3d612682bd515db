"""The geometry of the page's charts: from numbers to places in an SVG's own coordinates."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 12, 36  # margins of the plotting area
MOST_POINTS = 240
MOST_BINS = 32


@dataclass(frozen=True)
class Axis:
    """One axis: values from `low` to `high`, laid over the coordinates from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    ticks: list[float]

    def at(self, value: float) -> float:
        """Return where a value lies."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def make_axis(values: Sequence[float], start: float, end: float, from_zero: bool = False) -> Axis:
    """Return an axis with round ticks that spans the values."""
    low, high = min(values), max(values)
    if from_zero:
        low = min(low, 0.0)
    if low == high:
        low, high = (low, low + 1) if from_zero else (low - 0.5, high + 0.5)
    step = _round_step((high - low) / 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = [number * step for number in range(first, last + 1)]
    return Axis(ticks[0], ticks[-1], start, end, ticks)


def _round_step(rough: float) -> float:
    size = 10 ** math.floor(math.log10(rough))
    return next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough)


def tick_label(value: float) -> str:
    """Return a tick's number, short."""
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:.4g}".replace("-", "−")


@dataclass(frozen=True)
class Line:
    """One curve: a path, and its points with the words that they say."""

    name: str
    place: int
    dashed: bool
    path: str
    dots: list[tuple[float, float, str]]


@dataclass(frozen=True)
class LineChart:
    """Curves over training steps."""

    title: str
    x: Axis
    y: Axis
    lines: list[Line]


def line_chart(title: str, curves: Sequence[tuple[str, int, bool, Sequence[tuple[int, float]]]]) -> LineChart:
    """Lay out curves, each a name, a run's place, whether it is dashed, and its steps and values."""
    thinned = [(name, place, dashed, _thin(points)) for name, place, dashed, points in curves]
    everything = [point for *_, points in thinned for point in points]
    x = make_axis([step for step, _ in everything], LEFT, WIDTH - RIGHT, from_zero=True)
    y = make_axis([value for _, value in everything], HEIGHT - BOTTOM, TOP)
    lines = []
    for name, place, dashed, points in thinned:
        places = [(x.at(step), y.at(value)) for step, value in points]
        path = "M" + "L".join(f"{left} {top}" for left, top in places)
        dots = [
            (left, top, f"{name}, step {step:,}: {value:.4g}")
            for (left, top), (step, value) in zip(places, points, strict=True)
        ]
        lines.append(Line(name, place, dashed, path, [] if dashed and len(dots) > 1 else dots))
    return LineChart(title, x, y, lines)


def _thin(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    every = math.ceil(len(points) / MOST_POINTS)
    kept = list(points[::every])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


@dataclass(frozen=True)
class Scatter:
    """Pairs of numbers, pooled into squares: `(left, top, radius, words)` each."""

    x: Axis
    y: Axis
    diagonal: tuple[float, float, float, float]
    dots: list[tuple[float, float, float, str]]


def length_scatter(pairs: Sequence[tuple[int, int]]) -> Scatter:
    """Lay out reference lengths (x) against output lengths (y)."""
    longest = max(max(pair) for pair in pairs)
    size = max(1, math.ceil(longest / MOST_BINS))
    counts = Counter((reference // size, output // size) for reference, output in pairs)
    x = make_axis([0, longest], LEFT, WIDTH - RIGHT, from_zero=True)
    y = make_axis([0, longest], HEIGHT - BOTTOM, TOP, from_zero=True)
    most = max(counts.values())
    dots = []
    for (column, row), count in sorted(counts.items()):
        middle = [size * number + (size - 1) / 2 for number in (column, row)]
        spans = [
            f"{size * number}" if size == 1 else f"{size * number}–{size * (number + 1) - 1}"
            for number in (column, row)
        ]
        said = f"reference {spans[0]}, output {spans[1]} words: {count:,} {'example' if count == 1 else 'examples'}"
        dots.append(
            (
                x.at(min(middle[0], x.high)),
                y.at(min(middle[1], y.high)),
                round(1.5 + 4.5 * math.sqrt(count / most), 1),
                said,
            )
        )
    return Scatter(x, y, (x.at(0), y.at(0), x.at(x.high), y.at(y.high)), dots)


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: where it stands, the layer it counts, and its words."""

    left: float
    top: float
    width: float
    height: float
    layer: int
    share: str
    said: str


@dataclass(frozen=True)
class Histogram:
    """How many tokens there are of each layer."""

    bars: list[Bar]
    tokens: int


def layer_histogram(deciding_layers: Sequence[int], layers: int) -> Histogram:
    """Lay out how many tokens each of a decoder's layers decided on."""
    counts, total = Counter(deciding_layers), len(deciding_layers)
    most, floor = max(counts.values()), HEIGHT - BOTTOM
    slot = (WIDTH - 2 * RIGHT) / layers
    bars = []
    for layer in range(layers):
        height = round((floor - TOP - 18) * counts[layer] / most, 1)
        share = 100 * counts[layer] / total
        shown = f"{share:.0f} %" if share >= 1 or not share else "<1 %"
        said = f"layer {layer}: {counts[layer]:,} tokens, {share:.1f} %"
        left, width = round(RIGHT + slot * (layer + 0.1), 1), round(slot * 0.8, 1)
        bars.append(Bar(left, round(floor - height, 1), width, height, layer, shown, said))
    return Histogram(bars, total)
