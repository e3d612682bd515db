"""What datasets there are, and which of them are here: `data list`."""

from pathlib import Path

from rich.table import Table

from textbox_elmer.datasets.folder.counting import SPLITS, count_examples
from textbox_elmer.runtime.catalogue.datasets import APIDOC, DATASETS, MADE_HERE, KnownDataset, known_dataset


def list_datasets(data_path: Path) -> Table:
    """Return a table of all datasets that TextBox names, by task, and of all others in a folder."""
    table = Table("dataset", *SPLITS, "how to get it", title="Datasets", title_justify="left")
    for split in SPLITS:
        table.columns[1 + SPLITS.index(split)].justify = "right"
    present = {path.name: path for path in sorted(data_path.glob("[!.]*")) if path.is_dir()}
    for task in dict.fromkeys(known.task for known in DATASETS.values()):
        _add_heading(table, task)
        for known in DATASETS.values():
            if known.task == task:
                spellings = [name for name in present if known_dataset(name) is known]
                _add(table, known.name, present[spellings[0]] if spellings else None, _how(known))
    others = {name: path for name, path in present.items() if known_dataset(name) is None}
    _add_heading(table, "Others")
    for name in dict.fromkeys([*MADE_HERE, *others]):
        _add(table, name, others.get(name), f"data {APIDOC}" if name in MADE_HERE else "")
    return table


def _add_heading(table: Table, text: str) -> None:
    table.add_section()
    table.add_row(text, style="bold")


def _add(table: Table, name: str, folder: Path | None, how: str) -> None:
    if folder is None:
        table.add_row(f"  {name}", *[""] * len(SPLITS), how)
        return
    counts = count_examples(folder).values()
    table.add_row(f"  {name}", *("-" if count is None else f"{count:,}" for count in counts), "is here")


def _how(known: KnownDataset) -> str:
    return f"data get {known.name}" if known.archive else "was never published"
