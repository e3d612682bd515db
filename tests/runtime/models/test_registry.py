"""Names that find a model, and names that do not."""

from pathlib import Path

import pytest

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.models import MODELS, find_model
from textbox_elmer.runtime.config import resolve_config

# TextBox's own list of names (textbox/utils/enum_type.py), less those that it alone can run.
CAUSAL = ["cpm", "ctrl", "gpt2", "chinese-gpt2", "gpt_neo", "openai-gpt", "opt"]
SAME_LETTERS = [
    "bart",
    "bert2bert",
    "blenderbot",
    "led",
    "mbart",
    "mt5",
    "mvp",
    "pegasus",
    "prophetnet",
    "t5",
    "longt5",
]
SPELT = [
    "bigbird_pegasus",
    "blenderbot-small",
    "m2m_100",
    "chinese-bart",
    "chinese-pegasus",
    "xlm-roberta",
    "pegasus_x",
]
ENCODER_DECODER = [*SAME_LETTERS, *SPELT, "transformer", "marian", "nllb", "longt5", "pegasus_x"]


@pytest.mark.parametrize("name", [*CAUSAL, *ENCODER_DECODER])
def test_textbox_names(name: str) -> None:
    spec = find_model(name)
    assert spec.kind == ("causal" if name in CAUSAL else "encoder-decoder")
    assert find_model(name.upper()) is spec


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("GPT2", "GPT-2"),
        ("gpt-neo", "GPT-Neo"),
        ("M2M100", "M2M-100"),
        ("bigbird-pegasus", "BigBird-Pegasus"),
        ("pegasusx", "PEGASUS-X"),
        ("OpenAI_GPT", "OpenAI-GPT"),
        ("marianmt", "MarianMT"),
        ("long-t5", "LongT5"),
    ],
)
def test_case_hyphens_and_underscores_do_not_matter(typed: str, name: str) -> None:
    assert find_model(typed) is MODELS[name]
    assert resolve_config(typed, "mine").model == name


@pytest.mark.parametrize("name", ["UniLM", "MASS", "cpt", "XLM", "xlm_prophetnet"])
def test_what_textbox_alone_can_run(name: str) -> None:
    with pytest.raises(UserError, match=r"run it in TextBox itself, by --textbox_home=<the folder") as error:
        find_model(name)
    assert "\n" not in str(error.value)


def test_a_slip_is_guessed() -> None:
    with pytest.raises(UserError, match=r"There is no model called 'gtp2'. Did you mean GPT2\?"):
        find_model("gtp2")


def test_a_property_file_by_textbox_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "properties" / "model").mkdir(parents=True)
    (tmp_path / "properties" / "model" / "gpt2.yaml").write_text("n_embd: 96\nvocab_size: 500\n")
    monkeypatch.chdir(tmp_path)
    assert resolve_config("GPT-2", "mine").model_fields() == {"n_embd": 96, "vocab_size": 500}
