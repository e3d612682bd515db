"""Where the package lies, and the property files that ship with it; both hosts read them."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def shipped_properties() -> Path:
    """Return the shipped `properties` folder: inside the package where it was installed, beside it in a checkout."""
    # Where the package is installed, a folder beside it would be some other distribution's.
    inside = PACKAGE / "properties"
    return inside if inside.is_dir() else PACKAGE.parent / "properties"
