"""What `bench latency` prints of what it measured: rows beside their peers, and the ratios that it is run for."""

import math
from collections.abc import Sequence
from typing import Any

from textbox_elmer.bench.planted_weights import THRESHOLDS

BEAMS = 5
PRECISIONS = ("float32", "bfloat16", "float16")
COMPILED = ", compiled"
CACHES: dict[str, dict[str, Any]] = {
    "": {},
    ", static cache": {"cache_implementation": "static", "disable_compile": True},
    COMPILED: {"cache_implementation": "static"},
}
# Rows without the encoder, beside hard exit, which makes the decoder faster and nothing else.
ALONE = ", decoder alone"


def compare(measured: Sequence[dict[str, Any]], batch: int) -> list[dict[str, Any]]:
    """Add to each row its ms per example and how it stands to BART with beams and to the floor at its precision.

    BART is the fastest of its caches, compiled or not. A precision that a peer was not measured at (int8) is compared
    with float32.
    """
    seconds = fastest(measured)

    def of(name: str, precision: str) -> float | None:
        return seconds.get((name, precision), seconds.get((name, "float32")))

    rows = []
    for row in measured:
        beams, least = of(f"BART {BEAMS} beams", row["precision"]), of("floor", row["precision"])
        rows.append(
            row
            | {
                "ms_per_example": 1000 * row["seconds"] / batch,
                "faster_than_bart_beams": beams and beams / row["seconds"],
                "over_floor": least and row["seconds"] / least,
            }
        )
    return rows


def fastest(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Return the seconds of each row by its name and precision; compiled or not, and of BART's caches, the least."""
    seconds: dict[tuple[str, str], float] = {}
    for row in rows:
        name = row["name"]
        for cache in CACHES:
            name = name.removesuffix(cache)
        key = (name, row["precision"])
        seconds[key] = min(row["seconds"], seconds.get(key, math.inf))
    return seconds


def markdown(table: dict[str, Any]) -> str:
    """Return a table's rows for a document."""
    source, canvas, output = table["sizes"]
    lines = [
        f"{table['shape']}: {source} source tokens, canvas {canvas}, {output} tokens written; batch {table['batch']}",
        "",
        f"| row | precision | ms per example | BART {BEAMS} beams / row | row / floor | peak memory, MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in table["rows"]:
        faster, over = (
            "-" if row[name] is None else f"{row[name]:.2f}" for name in ("faster_than_bart_beams", "over_floor")
        )
        memory = "-" if row["megabytes"] is None else f"{row['megabytes']:.0f}"
        cells = f"{row['ms_per_example']:.1f} | {faster} | {over} | {memory}"
        lines.append(f"| {row['name']} | {row['precision']} | {cells} |")
    return "\n".join([*lines, "", *ratios(table["rows"])])


# Pairs of rows whose ratio is worth a line: how much longer the first takes than the second.
RATIOS = (
    *(((f"BART {BEAMS} beams", precision), ("ELMER soft", precision)) for precision in PRECISIONS),
    *(((f"BART {BEAMS} beams", precision), ("ELMER dag lookahead", precision)) for precision in PRECISIONS),
    *(((f"CTranslate2 {BEAMS} beams", precision), ("ELMER soft", precision)) for precision in PRECISIONS),
    (("CTranslate2 greedy", "int8"), ("ELMER soft", "bfloat16")),
    (("CTranslate2 greedy", "int8"), ("ELMER soft, ONNX", "int8")),
    (("ELMER soft", "float32"), ("floor, packed", "float32")),
)
# Decoders' rows whose ratio is worth a line.
DECODER_RATIOS = (
    ("ELMER soft", "ELMER last"),
    ("ELMER hard", "ELMER last"),
    *((f"ELMER hard, {name}{spread}", "ELMER last") for name in THRESHOLDS for spread in ("", ", half depth")),
)


def ratios(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each pair of peers, and for each pair of decoders."""
    seconds = fastest(rows)
    lines = [
        f"- {slow[0]} {slow[1]} / {fast[0]} {fast[1]}: {seconds[slow] / seconds[fast]:.2f}"
        for slow, fast in RATIOS
        if slow in seconds and fast in seconds
    ]
    for slow, fast in DECODER_RATIOS:
        for precision in PRECISIONS:
            pair = [seconds.get((f"{name}{ALONE}", precision)) for name in (slow, fast)]
            if pair[0] is not None and pair[1] is not None:
                lines.append(f"- {slow} / {fast}{ALONE}, {precision}: {pair[0] / pair[1]:.2f}")
    return lines
