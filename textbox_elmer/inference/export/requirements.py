"""The packages that an export needs beside ours."""

from importlib.util import find_spec

from textbox_elmer.errors import UserError

PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def check_packages(*names: str) -> None:
    """Raise a UserError if one of these packages, by default all that an export needs, is not installed."""
    missing = [name for name in names or PACKAGES if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise UserError(
            f"An ONNX export needs {', '.join(missing)}, which {verb} not installed: pip install {' '.join(missing)}."
        )
