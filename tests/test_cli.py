"""The command line: its statuses, what each mistake in its first words gets, and every command's help."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import options, save_small_elmer, tiny
from textbox_elmer import __version__
from textbox_elmer.cli import main

REPOSITORY = Path(__file__).parents[1]
LONG = "n" * 300
# Prints, as JSON, what --help answers for every command that a help names, and which heavy modules that has imported.
ALL_HELP = """
import contextlib, io, json, re, sys
sys.argv = ["textbox-elmer"]
from textbox_elmer.cli import main

def helps(*words):
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        assert main([*words, "--help"]) == 0
    commands = shown.getvalue().partition("\\ncommands:")[2].partition("\\n\\n")[0]
    found = {" ".join(words): shown.getvalue()}
    for name in re.findall(r"^    (\\w+)", commands, re.M):
        found |= helps(*words, name)
    return found

every = helps()
heavy = {"torch", "transformers", "numpy", "datasets", "pyarrow", "jinja2"} & {*sys.modules}
print(json.dumps(every | {"imported": " ".join(heavy)}))
"""


def test_a_traceback_needs_debug(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["--model=ELMR", "--dataset=toy"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    with pytest.raises(Exception, match="ELMR"):
        main(["--model=ELMR", "--dataset=toy", "--debug"])


def test_a_fault_of_ours_is_one_line_too(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("textbox_elmer.cli.run_typed", fail)
    assert main(["--model=ELMER", "--dataset=toy"]) == 1
    assert (
        capsys.readouterr().err
        == "Unexpected fault (KeyError: 'surprise'): repeat with --debug for the traceback and report it.\n"
    )


def test_a_full_disk_is_named(workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device", "saved/run/results.json")

    monkeypatch.setattr("textbox_elmer.cli.run_typed", fail)
    assert main(["--model=ELMER", "--dataset=toy"]) == 2
    assert "saved/run/results.json cannot be written (No space left on device)" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"textbox-elmer {__version__}\n"


def test_help_names_the_models(capsys: pytest.CaptureFixture) -> None:
    assert main([]) == main(["--help"]) == 0
    assert "ELMER, BART, T5, transformer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data"], "`textbox-elmer data` needs one of list, get, check, import, apidoc, distill: "),
        (["data", "samsum"], "`textbox-elmer data` needs one of list, get, check, import, apidoc, distill: "),
        (["data", "distil"], "`textbox-elmer data` has no command 'distil': did you mean distill?"),
        (["data", "apidoc", "--folder=x"], "`textbox-elmer data apidoc` has no option --folder"),
    ],
)
def test_mistyped_commands(capsys: pytest.CaptureFixture, arguments: list[str], message: str) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What --help prints for each command, and for "" above all; "imported" names the heavy modules that it took."""
    done = subprocess.run([sys.executable, "-c", ALL_HELP], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_help_imports_nothing_heavy(helps: dict[str, str]) -> None:
    assert helps["imported"] == ""


def test_every_help_says_options_defaults_and_an_example(helps: dict[str, str]) -> None:
    commands = helps.keys() - {"", "imported"}
    assert {"generate", "data import", "compare", "bench latency"} < commands
    for command in commands:
        usage, _, rest = helps[command].partition("\n\n")
        assert usage.startswith(f"usage: textbox-elmer {command} [-h]")
        assert f"\nexample:\n  textbox-elmer {command}" in rest
        for option in re.split(r"\n +(?=-)", rest.partition("\noptions:")[2].partition("\n\n")[0])[1:]:
            name = re.search(r"--\w+", option)[0]
            takes_a_value = re.search(rf"{name} \S", option)
            if takes_a_value and f"[{name}" in usage and name not in ("--hub", "--file"):  # of which one is needed
                assert "default" in option, f"{command} {name}"


def test_the_command_as_users_type_it(workplace: Path) -> None:
    arguments = ["--model", "ELMER", "-d", "toy", *options(tiny(epochs=1)), "--filename=run"]
    environment = os.environ | {"HF_DATASETS_CACHE": str(workplace / "cache")}
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "run_textbox.py"), *arguments],
        cwd=workplace,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for shown in ("ELMER on toy", "rouge-1", "ms per example", "source", "reference", "output"):
        assert shown in done.stdout
    assert done.stdout.count("reference ") == 3
    results = json.loads((workplace / "saved/run/results.json").read_text())
    assert "--filename=run" in results["command"]


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["comparee", "--models=ELMER"], "There is no command 'comparee': did you mean compare?"),
        (
            ["--model=ELMER", "--datset=toy"],
            "No dataset is named: give --dataset=…, did you mean --dataset by --datset?",
        ),
        (["--modle=ELMER", "--dataset=toy"], "No model is named: give --model=…, did you mean --model by --modle?"),
        (["--model=ELMER"], "No dataset is named: give --dataset=…, e.g. --model=ELMER --dataset=apidoc."),
    ],
)
def test_slips_in_the_first_words(capsys: pytest.CaptureFixture, typed: list[str], sentence: str) -> None:
    assert main(typed) == 2
    assert capsys.readouterr().err == f"Error: {sentence}\n"


def test_a_forbidden_place_is_named(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise PermissionError(13, "Permission denied", "saved/run/results.json")

    monkeypatch.setattr("textbox_elmer.cli.run_typed", fail)
    assert main(["--model=ELMER", "--dataset=toy"]) == 2
    assert capsys.readouterr().err == (
        "Error: 'saved/run/results.json' cannot be read or written (Permission denied): name another, or mend it.\n"
    )


def test_a_name_that_is_too_long_is_a_mistake(workplace: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["report", "a" * 300]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is too long for a file's name: give a shorter one" in line


def test_a_panic_is_one_sentence(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    class PanicException(BaseException):
        """As pyo3's, which nothing can import."""

    def fail(*args: object) -> None:
        raise PanicException("Onig: Regex search error")

    monkeypatch.setattr("textbox_elmer.cli.run_typed", fail)
    assert main(["--model=ELMER", "--dataset=toy"]) == 2
    assert capsys.readouterr().err.startswith("Error: The tokenizer stops over a text (Onig: Regex search error):")


@pytest.mark.parametrize(
    "typed",
    [
        ["data", "check", LONG],
        ["data", "get", LONG],
        ["data", "list", f"--data_path={LONG}"],
        ["data", "import", f"--file={LONG}", "--source=a", "--target=b", "m"],
        ["data", "distill", "toy", f"--model_path={LONG}", "new"],
        ["data", "distill", "toy", "--model_path=model", LONG],
        ["export", f"--model_path={LONG}"],
        ["export", "--model_path=model", f"--out={LONG}"],
        ["report", LONG],
        ["leaderboard", LONG],
        ["leaderboard", "samsum", f"--saved_dir={LONG}"],
        ["leaderboard", "samsum", f"--markdown={LONG}.md"],
        ["compare", "--models=ELMER,BART", "--dataset=toy", f"--out={LONG}"],
        ["--model=ELMER", "--dataset=toy", f"--space={LONG}"],
        ["--model=ELMER", "--dataset=toy", "--multi_seed=2", f"--filename={LONG}"],
        ["--model=ELMER", "--dataset=toy", f"--textbox_home={LONG}"],
        [LONG],
        ["--model=ELMER", "--dataset=toy", f"--{LONG}=1"],
    ],
    ids=lambda typed: " ".join(typed).replace(LONG, "LONG"),
)
def test_overlong_names(workplace: Path, capsys: pytest.CaptureFixture, typed: list[str]) -> None:
    if "--model_path=model" in typed:
        save_small_elmer(workplace / "model")
    before = {path for path in workplace.rglob("*") if path.name != "saved"}
    assert main(typed) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("Error: ")
    assert LONG[:20] in line
    assert {path for path in workplace.rglob("*") if path.name != "saved"} == before
