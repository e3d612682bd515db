"""Where the YAML property files lie: the working directory's first, then those that ship with the package."""

from collections.abc import Iterator
from pathlib import Path

import textbox_elmer


def property_folders() -> Iterator[Path]:
    """Yield the `properties` folders in the order in which a file is looked up.

    The shipped folder is inside the package where it was installed, beside it in a checkout.
    """
    package = Path(textbox_elmer.__file__).parent
    for folder in (Path("properties"), package / "properties", package.parent / "properties"):
        if folder.is_dir():
            yield folder


def find_property_file(kind: str, name: str) -> Path | None:
    """Return e.g. `properties/model/BART.yaml`, whatever the case of `name`, or None.

    Args:
        kind: "model", "dataset", or "" for the top folder.
        name: the file's name without `.yaml`.
    """
    for folder in property_folders():
        for path in sorted((folder / kind).glob("*.yaml")):
            if path.stem.lower() == name.lower():
                return path
    return None
