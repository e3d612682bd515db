"""Which folder imports which: no arrow leads back, the hosts stand apart, and the model stands alone."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "textbox_elmer"
MODULES = {path.relative_to(PACKAGE.parent).with_suffix("").parts: path for path in sorted(PACKAGE.rglob("*.py"))}
HOSTS = ("textbox_elmer/runtime", "textbox_elmer/textbox_plugin")


def place(parts: tuple[str, ...]) -> str:
    """Return the folder that a module lies in; one of the package's own modules is a place of its own.

    So is a room's `command`, which stands above all of the room.
    """
    if (*parts, "__init__") in MODULES:
        parts = (*parts, "__init__")
    return "/".join(parts if len(parts) == 2 or parts[-1] == "command" else parts[:-1])


def imported(module: tuple[str, ...]) -> Iterator[str]:
    """Yield the places in the package that a module imports from, wherever in it that stands."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            above = module[: -node.level] if node.level else ()
            base = (*above, *(node.module.split(".") if node.module else ()))
            if base[0] == PACKAGE.name:
                yield from (place((*base, a.name) if (*base, a.name) in MODULES else base) for a in node.names)


ARROWS = {place(module): set() for module in MODULES}
for module in MODULES:
    ARROWS[place(module)] |= set(imported(module)) - {place(module)}


def test_no_folders_import_each_other() -> None:
    # The package itself brings the names of its rooms, at their first use.
    arrows = {folder: found for folder, found in ARROWS.items() if folder != "textbox_elmer/__init__"}
    TopologicalSorter(arrows).prepare()  # raises a CycleError that names them


def test_the_two_hosts_know_nothing_of_each_other() -> None:
    for host, other in (HOSTS, HOSTS[::-1]):
        for folder, found in ARROWS.items():
            assert not (folder.startswith(host) and any(name.startswith(other) for name in found)), folder


def test_the_model_can_be_copied_elsewhere() -> None:
    assert not {name for name in ARROWS["textbox_elmer/model"] if not name.startswith("textbox_elmer/model")}
