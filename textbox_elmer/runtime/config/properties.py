"""Where the YAML property files lie: the working directory's first, then those that ship with the package."""

from collections.abc import Iterator
from pathlib import Path

import textbox_elmer


def properties_folders() -> Iterator[Path]:
    """Yield the `properties` folders in the order in which a file is looked up.

    The shipped folder is inside the package where it was installed, beside it in a checkout.
    """
    own = Path("properties")
    if own.is_dir():
        yield own
    package = Path(textbox_elmer.__file__).parent
    # Where the package is installed, a folder beside it would be some other distribution's.
    inside = package / "properties"
    yield inside if inside.is_dir() else package.parent / "properties"


def find_property_file(kind: str, name: str) -> Path | None:
    """Return e.g. `properties/model/BART.yaml`, whatever the case of `name`, or None.

    Args:
        kind: "model", "dataset", or "" for the top folder.
        name: the file's name without `.yaml`.
    """
    for folder in properties_folders():
        for path in sorted((folder / kind).glob("*.yaml")):
            if path.stem.lower() == name.lower():
                return path
    return None
