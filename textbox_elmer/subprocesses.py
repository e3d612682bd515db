"""Running the command line in a process of its own, from whatever folder, installed or not."""

import os
import sys
from collections.abc import Sequence

from textbox_elmer.shipped import PACKAGE

REPOSITORY = PACKAGE.resolve().parent
# What `python -m textbox_elmer` does, but for looking in the working folder first, where a yaml.py among somebody's
# data would be run in place of the library. (-P does the same since Python 3.11.)
AS_MODULE = "import sys; sys.path[:] = filter(None, sys.path); import runpy; runpy.run_module({!r}, None, {!r}, True)"


def run_command(options: Sequence[str]) -> list[str]:
    """Return the arguments that run an experiment with these options."""
    return [sys.executable, "-c", AS_MODULE.format("textbox_elmer", "__main__"), *options]


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment, changed, in which the package is found and runs in no TextBox checkout."""
    # An empty entry, such as a leading colon leaves, would stand for the working folder.
    path = os.pathsep.join([str(REPOSITORY), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
    return os.environ | {"PYTHONPATH": path, "TEXTBOX_HOME": ""} | changes
