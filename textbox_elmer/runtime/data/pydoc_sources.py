"""Where the docstrings of the dataset pydoc come from: the Python files of this environment, found but never run."""

import os
import sysconfig
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from textbox_elmer.runtime.errors import UserError

# .pyi: compiled functions (most of torch's) have their docstrings there.
SUFFIXES = (".py", ".pyi")
# Tests document little, and what lies in the other folders belongs to somebody else or is generated.
SKIPPED_FOLDERS = frozenset({"test", "tests", "idle_test", "lib2to3", "site-packages", "dist-packages", "__pycache__"})
REPOSITORY = Path(__file__).resolve().parents[3]


def project_requirements() -> list[str]:
    """Return this project's direct requirements: requirements.txt in a checkout, the package's metadata elsewhere.

    Raises:
        UserError: neither is there.
    """
    listed = REPOSITORY / "requirements.txt"
    # The folder above an installed package is site-packages: a requirements.txt there is somebody else's.
    if listed.is_file() and (REPOSITORY / "pyproject.toml").is_file():
        return listed.read_text(encoding="utf-8").splitlines()
    try:
        return metadata.requires("textbox-elmer") or []
    except metadata.PackageNotFoundError:
        raise UserError(
            f"{listed} is missing and textbox-elmer is not installed, so its packages are unknown: `pip install .`."
        ) from None


def requirement_names(lines: Iterable[str]) -> list[str]:
    """Return the distributions that requirement lines name, normalised ("rouge_score" -> "rouge-score"), each once.

    Comments, pip's options and requirements whose marker excludes this environment (or asks for an extra) are left out.

    Raises:
        UserError: a line is not a requirement.
    """
    names: dict[str, None] = {}
    for line in lines:
        text = line.split(" #")[0].strip().removesuffix("\\").split(" --")[0].strip()
        if not text or text.startswith(("#", "-")):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            raise UserError(f"'{text}' is not a requirement: write it as name==version.") from None
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            names[canonicalize_name(requirement.name)] = None
    return list(names)


def standard_library_files() -> list[Path]:
    """Return the standard library's Python files, its tests and the installed packages left out, in a stable order."""
    root = sysconfig.get_path("stdlib")
    found = []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in SKIPPED_FOLDERS]
        found += [Path(folder, name) for name in files if name.endswith(SUFFIXES)]
    return sorted(found)


def distribution_files(name: str) -> tuple[str, list[Path]] | None:
    """Return an installed distribution's version and Python files (tests left out), or None where it has none here."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    files = sorted(
        Path(distribution.locate_file(file))
        for file in distribution.files or ()
        if file.suffix in SUFFIXES and not SKIPPED_FOLDERS & set(file.parts[:-1]) and ".." not in file.parts
    )
    return (distribution.version, files) if files else None


def find_files(requirements: Sequence[str] | None = None) -> tuple[list[Path], dict[str, str], list[str]]:
    """Find the Python files of the standard library and of the distributions that `requirements` name.

    Args:
        requirements: lines as in a requirements.txt; None: this project's own.

    Returns:
        the files, the version of each distribution found, and the distributions that are missing here.

    Raises:
        UserError: a line is not a requirement, or this project's requirements are unknown.
    """
    files, versions, missing = standard_library_files(), {}, []
    for name in requirement_names(project_requirements() if requirements is None else requirements):
        if (found := distribution_files(name)) is None:
            missing.append(name)
        else:
            versions[name] = found[0]
            files += found[1]
    return list(dict.fromkeys(files)), versions, missing
