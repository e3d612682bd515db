"""Where the YAML property files lie: the working directory's first, then those that ship with the package."""

from collections.abc import Iterator
from pathlib import Path

from textbox_elmer.runtime.catalogue.datasets import known_dataset
from textbox_elmer.shipped import shipped_properties


def properties_folders() -> Iterator[Path]:
    """Yield the `properties` folders in the order in which a file is looked up."""
    own = Path("properties")
    if own.is_dir():
        yield own
    yield shipped_properties()


def find_property_file(kind: str, *names: str) -> Path | None:
    """Return e.g. `properties/model/BART.yaml`, whatever the case of the name, or None.

    A dataset is found under either of TextBox's spellings.

    Args:
        kind: "model", "dataset", or "" for the top folder.
        names: what the file may be called, without `.yaml`.
    """
    known = [known_dataset(name) for name in names] if kind == "dataset" else []
    spellings = [name.lower() for name in (*names, *(dataset.name for dataset in known if dataset))]
    for folder in properties_folders():
        present = {path.stem.lower(): path for path in sorted((folder / kind).glob("*.yaml"), reverse=True)}
        if found := next((present[name] for name in spellings if name in present), None):
            return found
    return None
