"""Real runs on a dataset with hostile texts, made once for all tests of reports."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PUBLISHED, save_small_elmer, tiny, write_toy
from textbox_elmer import run_textbox

SCRIPT = "<script>document.title='owned'</script>"
BREAKOUT = "</style></title></textarea>--><img src=x onerror=alert(1)> {{ 7*7 }} {% raw %}"
ODD = "\u202egnirts\u202c\u2028 naïve 🙂 日本語 مرحبا \x07 " + "w" * 300
SOURCES = [SCRIPT, BREAKOUT, ODD]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A working directory with four runs in `saved`: hard, soft, graph and bart."""
    folder = tmp_path_factory.mktemp("reports")
    toy = folder / "dataset" / "toy"
    write_toy(toy, {"train": 80, "valid": 10, "test": 10})
    with (toy / "test.src").open("a", encoding="utf-8") as sources, (toy / "test.tgt").open("a") as targets:
        for number, text in enumerate(SOURCES):
            sources.write(f"{text!r}\n")
            targets.write(f"['<b>first</b> {number}', 'second & last']\n")
    shared = {"data_path": str(folder / "dataset"), "saved_dir": str(folder / "saved"), "eval_batch_size": 5}
    fields = {"alignment": "dag", "canvas_input": "source", "copy_source": True, "normalize_before": True}
    start = save_small_elmer(folder / "start", canvas_length=10, **fields)
    for name, model, changes in (
        ("hard", "ELMER", PUBLISHED | {"exit_mode": "hard", "exit_threshold": 2.2, "learning_rate": 0.01, "epochs": 4}),
        ("soft", "ELMER", PUBLISHED),
        ("graph", "ELMER", {"model_path": str(start), "learning_rate": 0.005, "epochs": 3}),
        ("bart", "BART", {}),
    ):
        run_textbox(model, "toy", config_dict=tiny(model, **shared, **changes, filename=name))
    return folder


@pytest.fixture
def work(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, from which `place`'s runs are seen as they are from any other."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
