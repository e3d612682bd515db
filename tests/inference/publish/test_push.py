"""`push`: what it shows, what it sends, and what it says of a mistake. The hub is a server of this machine."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard, constants

from tests.conftest import options, tiny, write_toy
from tests.inference.publish.hub import TOKEN, Hub, serving
from textbox_elmer.cli import main
from textbox_elmer.inference import load_writer

REPO = "someone/elmer-toy"
Push = Callable[..., str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder: an ELMER that was trained for some steps and tested."""
    folder = tmp_path_factory.mktemp("runs")
    write_toy(folder / "dataset" / "toy", {"train": 16, "valid": 4, "test": 4})
    settings = tiny(epochs=1, data_path=str(folder / "dataset"), saved_dir=str(folder), filename="run")
    assert main(["--model=ELMER", "--dataset=toy", *options(settings)]) == 0
    return folder / "run"


@pytest.fixture
def model(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # whose protocol no stand-in speaks
    with serving() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        yield found


@pytest.fixture
def push(capsys: pytest.CaptureFixture) -> Push:
    """Run `push` and return what it prints."""

    def run(*arguments: str | Path, status: int = 0) -> str:
        capsys.readouterr()
        found = main(["push", *map(str, arguments)])
        shown = capsys.readouterr()
        assert found == status, shown.err
        if status:
            assert shown.err.startswith("Error: ")
            assert shown.err.count("\n") == 1
        return shown.err if status else shown.out

    return run


def published(run: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (run / "checkpoint_best").iterdir()}


def test_the_card_says_what_the_run_was(trained: Path) -> None:
    card = ModelCard.load(trained / "checkpoint_best" / "README.md")
    assert (card.data.license, card.data.library_name) == ("unknown", "transformers")
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert set(results) == {"rouge-1", "rouge-2", "rouge-l"}
    assert {result.dataset_name for result in card.data.eval_results} == {"toy"}
    for told in ("- dataset: toy", "- exit mode: last", "- seed: 2020", "--src_len=24 --tgt_len=10", "| rouge-1 |"):
        assert told in card.text
    namespace: dict = {}
    code = card.text.split("```python\n")[1].split("```")[0].replace('"PATH"', repr(str(trained / "checkpoint_best")))
    exec(compile(code, "card", "exec"), namespace)
    assert type(namespace["model"]).__name__ == "ElmerForConditionalGeneration"


def test_shows_what_would_go_and_sends_nothing(trained: Path, hub: Hub, push: Push) -> None:
    shown = push(f"--model_path={trained}", f"--repo={REPO}")
    for name in published(trained):
        assert f"  {name}\n" in shown
    assert "library_name: transformers" in shown
    assert "The licence is not filled in" in shown
    assert shown.endswith("Nothing is sent yet: the same command with --yes sends it.\n")
    assert (hub.repositories, hub.files) == ({}, {})


def test_sends_the_model_as_it_is(model: Path, hub: Hub, push: Push, tmp_path: Path) -> None:
    best = model / "checkpoint_best"
    expected = published(model)
    card = best / "README.md"
    card.write_text(card.read_text().replace("license: unknown", "license: mit"))
    expected["README.md"] = card.read_bytes()
    (best / "training_args.bin").write_bytes(b"a pickle")
    (best / ".secret").write_bytes(b"hidden")
    (best / "passwords").symlink_to("/etc/passwd")
    shown = push(f"--model_path={best}", f"--repo={REPO}", "--private", "--yes")
    assert "licence is not" not in shown
    assert shown.endswith(f"Uploaded: {hub.url}/{REPO}\n")
    assert (hub.files, hub.repositories) == (expected, {REPO: True})
    assert hub.commits[0].startswith("Upload by textbox-elmer ")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in hub.files.items():
        (copy / name).write_bytes(content)
    text = ["alpha beta gamma"]
    lengths = {"src_len": 24, "tgt_len": 10, "use_gpu": False}
    assert load_writer(str(copy), **lengths)(text) == load_writer(str(model), use_gpu=False)(text)


def test_an_upload_that_broke_off_is_repeated(trained: Path, hub: Hub, push: Push) -> None:
    hub.breaks = 1
    told = push(f"--model_path={trained}", f"--repo={REPO}", "--yes", status=2)
    assert "repeat" in told
    assert hub.commits == []
    push(f"--model_path={trained}", f"--repo={REPO}", "--yes")
    assert hub.files == published(trained)


@pytest.mark.parametrize(
    ("repo", "said"),
    [
        ("elmer", "--repo=OWNER/NAME"),
        ("a/b/c", "--repo=OWNER/NAME"),
        ("some one/x", "is no name"),
        ("a/x.git", "no name"),
    ],
)
def test_names_that_are_none(trained: Path, push: Push, repo: str, said: str) -> None:
    assert said in push(f"--model_path={trained}", f"--repo={repo}", status=2)


def test_no_token(trained: Path, hub: Hub, push: Push, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert "hf auth login" in push(f"--model_path={trained}", f"--repo={REPO}", "--yes", status=2)


def test_a_token_that_is_refused(trained: Path, hub: Hub, push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert "Invalid username" in push(f"--model_path={trained}", f"--repo={REPO}", "--yes", status=2)


def test_a_hub_that_is_away(trained: Path, push: Push, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving() as gone:
        monkeypatch.setenv("HF_ENDPOINT", gone.url)
    assert "does not answer" in push(f"--model_path={trained}", f"--repo={REPO}", "--yes", status=2)


def test_no_model(model: Path, hub: Hub, push: Push, tmp_path: Path) -> None:
    assert "There is no folder" in push(f"--model_path={tmp_path / 'none'}", f"--repo={REPO}", status=2)
    (model / "checkpoint_best" / "model.safetensors").unlink()
    assert "holds no model" in push(f"--model_path={model}", f"--repo={REPO}", status=2)


def test_a_card_that_is_none(model: Path, hub: Hub, push: Push) -> None:
    card = model / "checkpoint_best" / "README.md"
    card.write_text("---\nlicense: [\n---\n")
    assert "is no model card" in push(f"--model_path={model}", f"--repo={REPO}", status=2)
    card.unlink()
    assert "There is no README.md" in push(f"--model_path={model}", f"--repo={REPO}")
