"""What is typed, and what it is read as."""

from typing import Any

import pytest

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.config import parse_command_line
from textbox_elmer.runtime.config.values import format_option


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--model=ELMER", "--dataset", "apidoc"], {"model": "ELMER", "dataset": "apidoc"}),
        (["-m", "BART", "-d", "xsum"], {"model": "BART", "dataset": "xsum"}),
        (["--learning_rate", "3e-5"], {"learning_rate": 3e-5}),
        (["--learning_rate=1E+2"], {"learning_rate": 100.0}),
        (["--exit_threshold=-1"], {"exit_threshold": -1}),
        (["--do_train=False", "--do_test=true"], {"do_train": False, "do_test": True}),
        (["--model_path=None"], {"model_path": None}),
        (["--grad_clip=None"], {"grad_clip": None}),
        (["--metrics=['rouge', 'bleu']"], {"metrics": ["rouge", "bleu"]}),
        (["--config_kwargs={'dropout': 0.2}"], {"config_kwargs": {"dropout": 0.2}}),
        (["--prefix_prompt=Summarize: "], {"prefix_prompt": "Summarize: "}),
        (["--prefix_prompt=yes"], {"prefix_prompt": "yes"}),
        (["--filename=2020"], {"filename": "2020"}),
        (["--gpu_id=0,1"], {"gpu_id": "0,1"}),
        (["--a=b=c"], {"a": "b=c"}),
        (["--config_files", "a.yaml", "b.yaml", "--seed=1"], {"config_files": ["a.yaml", "b.yaml"], "seed": 1}),
        (["--config_files=a.yaml", "--seed=1"], {"config_files": ["a.yaml"], "seed": 1}),
        (["--seed=1", "--seed=1"], {"seed": 1}),
        (["-m=BART"], {"model": "BART"}),
        (["--debug", "--seed=1"], {"debug": True, "seed": 1}),
        (
            ["--generation_kwargs={'a': None, 'b': 'None', 'c': True}"],
            {"generation_kwargs": {"a": None, "b": "None", "c": True}},
        ),
        (["--prefix_prompt=- x"], {"prefix_prompt": "- x"}),
        (["--suffix_prompt", "~"], {"suffix_prompt": None}),
        (["--prefix_prompt= null "], {"prefix_prompt": " null "}),
        (["--wandb=off"], {"wandb": "off"}),
        (["--my_note=- x"], {"my_note": "- x"}),
        (["--my_note=see: x"], {"my_note": "see: x"}),
        (["--my_note=2020-99-99"], {"my_note": "2020-99-99"}),
        (["--seed=__import__('os')"], {"seed": "__import__('os')"}),
        (["--seed=!!python/object/apply:os.getcwd []"], {"seed": "!!python/object/apply:os.getcwd []"}),
    ],
)
def test_command_line(arguments: list[str], options: dict[str, Any]) -> None:
    assert parse_command_line(arguments) == options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["apidoc"], "'apidoc' is no option"),
        (["--seed"], "--seed needs a value"),
        (["--seed", "--model=BART"], "--seed needs a value"),
        (["--seed=1", "--seed=2"], "--seed is given twice"),
        (["--metrics=[rouge"], "--metrics is not valid YAML"),
        (["--config_files"], "at least one YAML file"),
        (["--debug=yes"], "--debug takes no value"),
        (["--debug", "yes"], "'yes' is no option"),
        (["--"], "'--' is no option"),
        (["--generation_kwargs={a: 1"], "--generation_kwargs is not valid YAML"),
    ],
)
def test_command_line_mistakes(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_command_line(arguments)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("generation_kwargs", {"bad": ["😀", "\u2028", "a: b", "007", "yes"], "n": None, "x": 1e-5}),
        ("metrics", ["rouge", "bleu"]),
        ("prefix_prompt", "[say]: 'x'\n"),
        ("some_field", "3"),
        ("some_field", ""),
        ("some_field", "[x"),
        ("some_field", 1e-10),
        ("some_field", True),
        ("max_steps", None),
        ("model_path", None),
    ],
)
def test_values_survive_being_typed(name: str, value: object) -> None:
    assert parse_command_line([f"--{name}={format_option(name, value)}"]) == {name: value}
