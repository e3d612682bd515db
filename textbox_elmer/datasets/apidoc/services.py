"""The service descriptions that the PyPI package botocore holds: read as data, none of its code run."""

import gzip
import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from tqdm import tqdm

from textbox_elmer.errors import UserError

PACKAGE, PINNED = "botocore", "1.44.8"
_INSTALL = f"`pip install {PACKAGE}=={PINNED}`"


@dataclass(frozen=True)
class Operation:
    """What a service can be asked to do.

    Attributes:
        name: such as "CreateJobTemplate".
        inputs: names of its input's fields.
        outputs: names of its output's fields.
        html: its documentation.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    html: str


@dataclass(frozen=True)
class Service:
    """One service at its newest version.

    Attributes:
        name: its folder's name.
        family: what it signs requests as; services of one family (`rds`, `neptune`, `docdb`) copy each other's texts.
        operations: in the description's order.
        html: all documentation there is: of the service, its operations, its shapes and their members.
    """

    name: str
    family: str
    operations: tuple[Operation, ...]
    html: tuple[str, ...]


def read_services() -> tuple[str, list[Service]]:
    """Return the installed package's version, and every service in the order of their names.

    Raises:
        UserError: the package is not installed, or its files are not what they should be.
    """
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise UserError(
            f"The dataset apidoc is made of the package {PACKAGE}, which is not installed: {_INSTALL}."
        ) from None
    files = _newest_descriptions(Path(str(distribution.locate_file(f"{PACKAGE}/data"))))
    services = [_read(file) for file in tqdm(files, desc="Reading services", unit=" services", disable=None)]
    if not services:
        raise UserError(f"{PACKAGE} {distribution.version} holds no service descriptions: {_INSTALL}.")
    return distribution.version, services


def _newest_descriptions(data: Path) -> list[Path]:
    files = []
    for service in sorted(data.glob("*/")):
        # A folder per version, named by its date; the file of later releases of botocore is compressed.
        found = sorted(service.glob("*/service-2.json*"), key=lambda path: path.parent.name)
        files += found[-1:]
    return files


def _read(file: Path) -> Service:
    try:
        content = file.read_bytes()
        description = json.loads(gzip.decompress(content) if file.suffix == ".gz" else content)
        shapes, facts = description["shapes"], description["metadata"]
        operations = tuple(
            Operation(
                name=name,
                inputs=_fields(operation.get("input"), shapes),
                outputs=_fields(operation.get("output"), shapes),
                html=operation.get("documentation", ""),
            )
            for name, operation in description["operations"].items()
        )
        family = facts.get("signingName") or facts["endpointPrefix"]
        html = [description.get("documentation"), *(operation.html for operation in operations)]
        for shape in shapes.values():
            html += [shape.get("documentation"), *(m.get("documentation") for m in shape.get("members", {}).values())]
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{str(file)!r} is damaged ({error!r}): {_INSTALL} --force-reinstall.") from None
    return Service(file.parent.parent.name, family, operations, tuple(text for text in html if text))


def _fields(reference: dict[str, Any] | None, shapes: dict[str, Any]) -> tuple[str, ...]:
    return tuple(shapes[reference["shape"]].get("members", {})) if reference else ()
