"""What `python -m build` makes: the package with what it reads, and nothing else."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conftest import FIXTURES, write_toy

REPOSITORY = FIXTURES.parent.parent
pytest.importorskip("build", reason="build is missing: pip install -r requirements.txt")
pytest.importorskip("twine", reason="twine is missing: pip install -r requirements.txt")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that was built out of it."""
    folder, checkout = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("checkout")
    for path in REPOSITORY.iterdir():
        if path.name in ("textbox_elmer", "properties", "tests", "docs", "benchmarks"):
            shutil.copytree(path, checkout / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.is_file():
            shutil.copy(path, checkout)
    write_toy(checkout / "dataset" / "toy", {"train": 1})
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(checkout)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def shipped() -> set[str]:
    """The files that the package needs, as the wheel names them."""
    package = REPOSITORY / "textbox_elmer"
    code, pages = package.rglob("*.py"), [*package.glob("**/templates/*"), *package.glob("**/page/*.[!p]*")]
    settings = [path.relative_to(REPOSITORY) for path in (REPOSITORY / "properties").rglob("*.yaml")]
    assert {path.suffix for path in pages} >= {".html", ".js", ".css"}
    assert settings
    own = {path.relative_to(REPOSITORY).as_posix() for path in (*code, *pages)}
    return own | {f"textbox_elmer/{path.as_posix()}" for path in settings}


def test_the_wheel_has_the_package_alone(distributions: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distributions[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == shipped()


def test_the_sdist_has_neither_tests_nor_data(distributions: tuple[Path, Path]) -> None:
    with tarfile.open(distributions[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = {name.replace("textbox_elmer/properties/", "properties/") for name in shipped()}
    assert wanted <= names
    tops = {name.partition("/")[0] for name in names}
    assert not tops & {"tests", "dataset", "saved", "benchmarks", "docs"}
    assert {"LICENSE", "README.md", "setup.py", "pyproject.toml"} <= names


def test_the_index_would_take_both(distributions: tuple[Path, Path]) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, distributions)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2
