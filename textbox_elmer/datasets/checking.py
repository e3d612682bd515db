"""What is in a dataset, and what may be wrong with it: `data check`."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, median

from rich.table import Table

from textbox_elmer.datasets.folder.counting import SPLITS
from textbox_elmer.runtime.data.folder import Split, find_dataset, load_split
from textbox_elmer.text.lines import references_of


def check_dataset(name: str, data_path: Path) -> tuple[Table, list[str]]:
    """Read a dataset as a run does and describe it.

    Returns:
        a table of counts, lengths, empty lines, duplicates and overlaps by split, and a sentence for each of these that
        a user should know of.

    Raises:
        UserError: it is not here, or a run could not read it.
    """
    folder = find_dataset(data_path, name)
    # Some of TextBox's datasets have no test split at all; half of one is a fault that load_split names.
    has_test = any((folder / f"test.{side}").exists() for side in ("src", "tgt"))
    names = SPLITS if has_test else SPLITS[:2]
    splits = [load_split(folder, split) for split in names]
    table = Table("", *names, title=f"{folder}", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for measure, of in _MEASURES.items():
        table.add_row(measure, *(of(split) for split in splits))
    warnings = [] if has_test else ["There is no test split: run with --do_test=False."]
    for measure, count in _COUNTS.items():
        _add_counts(table, warnings, measure, splits, count)
    for measure, items in _OVERLAPS.items():
        _add_counts(table, warnings, measure, splits, partial(_repeated, items, set(items(splits[0]))))
    return table, warnings


def _add_counts(
    table: Table, warnings: list[str], measure: str, splits: Sequence[Split], count: Callable[[Split], int]
) -> None:
    shown = []
    for split in splits:
        if split.name == "train" and measure in _OVERLAPS:
            shown.append("")
            continue
        number, size = count(split), len(split.source)
        shown.append(f"{number:,}")
        if number and measure not in _USUAL:
            warnings.append(f"{split.name}: {number:,} of {size:,} examples ({number / size:.1%}): {measure}.")
    table.add_row(measure, *shown)


def _references(split: Split) -> list[str]:
    return [text for target in split.target for text in references_of(target)]


def _lengths(texts: Iterable[str]) -> str:
    words = [len(text.split()) for text in texts]
    return f"{mean(words):.1f} / {median(words):g} / {max(words)}" if words else "-"


def _sources(split: Split) -> list[str]:
    return split.source


def _targets(split: Split) -> list[Hashable]:
    return [target if isinstance(target, str) else tuple(target) for target in split.target]


def _pairs(split: Split) -> list[Hashable]:
    return list(zip(split.source, _targets(split), strict=True))


def _repeated(items: Callable[[Split], Sequence[Hashable]], seen: set[Hashable], split: Split) -> int:
    return sum(item in seen for item in items(split))


def _duplicates(items: Sequence[Hashable]) -> int:
    return len(items) - len(set(items))


def _empty_targets(split: Split) -> int:
    return sum(not "".join(target).strip() for target in split.target)


_MEASURES: dict[str, Callable[[Split], str]] = {
    "examples": lambda split: f"{len(split.source):,}",
    "references": lambda split: f"{len(_references(split)):,}",
    "source words: mean / median / most": lambda split: _lengths(split.source),
    "target words: mean / median / most": lambda split: _lengths(_references(split)),
}
_COUNTS: dict[str, Callable[[Split], int]] = {
    "empty sources": lambda split: sum(not text.strip() for text in split.source),
    "empty targets": _empty_targets,
    "duplicate sources": lambda split: _duplicates(_sources(split)),
    "duplicate targets": lambda split: _duplicates(_targets(split)),
    "duplicate pairs": lambda split: _duplicates(_pairs(split)),
}
_OVERLAPS: dict[str, Callable[[Split], Sequence[Hashable]]] = {
    "sources that train has too": _sources,
    "pairs that train has too": _pairs,
}
# Many tasks have them by design, e.g. one answer to several questions.
_USUAL = frozenset({"duplicate targets"})
