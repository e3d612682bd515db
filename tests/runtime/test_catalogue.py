"""The datasets that TextBox names: how many, where they lie, and that a run accepts each one's settings."""

from pathlib import Path

import pytest

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.catalogue.datasets import DATASETS, known_dataset, published_dataset
from textbox_elmer.runtime.config import resolve_config
from textbox_elmer.runtime.config.properties import find_property_file
from textbox_elmer.runtime.training.selection import check_selection

# How many archives each repository holds, as the hub lists them.
ARCHIVES = {
    "Summarization": 9,
    "Translation": 7,
    "Open-Dialogue": 12,
    "Data-to-text-Generation": 13,
    "Question-Generation": 8,
    "Story-Generation": 5,
    "Question-Answering": 11,
    "Task-Dialogue": 9,
    "Chinese-Generation": 3,
    "Commonsense-Generation": 1,
    "Paraphrase": 2,
    "Style-Transfer": 2,
    "Simplification": 1,
}


def test_there_are_83_archives_under_13_tasks() -> None:
    archives = {(known.repository, known.archive) for known in DATASETS.values() if known.archive}
    assert len(archives) == sum(ARCHIVES.values()) == 83
    for repository, count in ARCHIVES.items():
        assert sum(owner == f"RUCAIBox/{repository}" for owner, _ in archives) == count
    assert len({known.task for known in DATASETS.values()}) == 13
    assert [name for name, known in DATASETS.items() if not known.archive] == ["cos", "mutual"]


@pytest.mark.parametrize("name", [*DATASETS, "gyafc-em", "gyafc-fr", "wia-t"])
def test_every_dataset_has_settings_that_a_run_accepts(name: str) -> None:
    config = resolve_config("BART", name)
    origin = config.origin("src_len")
    assert origin is not None
    assert Path(origin) == find_property_file("dataset", known_dataset(name).name)
    for key in ("tgt_len", "metrics", "metrics_for_best_model", "train_batch_size", "prefix_prompt"):
        assert config.origin(key) == origin
    check_selection(config)  # knows the metrics, and each one that selects is among what they yield


def test_settings_are_those_of_textbox() -> None:
    cg = resolve_config("BART", "cg")
    assert (cg["src_len"], cg["tgt_len"], cg["train_batch_size"], cg["accumulation_steps"]) == (16, 32, 96, 2)
    assert cg["prefix_prompt"] == "Describe the following data: "
    romanian = resolve_config("BART", "wmt16-ro-en")
    assert (romanian["src_lang"], romanian["tgt_lang"], romanian["label_smoothing"]) == ("ro_RO", "en_XX", 0.1)
    wp = resolve_config("BART", "wp")["generation_kwargs"]
    assert wp == {"num_beams": 1, "do_sample": True, "top_p": 0.9, "temperature": 0.7}


def test_every_settings_file_belongs_to_a_dataset() -> None:
    folder = Path(__file__).parents[2] / "properties" / "dataset"
    assert {path.stem for path in folder.glob("*.yaml")} == {*DATASETS, "apidoc"}


def test_names_differ_from_archives_where_they_must() -> None:
    assert (DATASETS["msqa"].repository, DATASETS["msqa"].archive) == ("RUCAIBox/Question-Answering", "msqg.tgz")
    assert (DATASETS["msqg"].repository, DATASETS["msqg"].archive) == ("RUCAIBox/Question-Generation", "msqg.tgz")
    turned = DATASETS["wmt16-en-ro"]
    assert (turned.archive, turned.reversed) == ("wmt16-ro-en.tgz", True)
    assert not DATASETS["wmt16-ro-en"].reversed
    assert known_dataset("wia-t") is DATASETS["wia"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("samsun", "no dataset 'samsun'. Did you mean 'samsum'"),
        ("zzzz", "data list"),
        ("cos", "names the dataset 'cos' but has never published it"),
    ],
)
def test_what_cannot_be_had(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        published_dataset(name)
