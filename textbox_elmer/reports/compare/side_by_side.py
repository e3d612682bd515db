"""All models of one seed on the same test examples, in one process, taking turns at every batch."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from tqdm import tqdm

from textbox_elmer.files import write_atomically
from textbox_elmer.reading import read_json
from textbox_elmer.reports.compare.plan import Plan
from textbox_elmer.runtime.data import Split, find_dataset, load_split, quick_test_limit
from textbox_elmer.runtime.models.generation import wait_for
from textbox_elmer.runtime.runs.results import RESULTS
from textbox_elmer.runtime.trained import TrainedModel, load_trained, run_config
from textbox_elmer.runtime.training.checkpoints import BEST, SAVED_CONFIG
from textbox_elmer.text.decoding import decode_texts


@dataclass
class Contestant:
    """A trained model, ready to write."""

    trained: TrainedModel
    ids: Dataset
    texts: list[str]
    seconds: float = 0.0

    @property
    def ms_per_example(self) -> float:
        """What writing has taken for each example."""
        return 1000 * self.seconds / len(self.texts)

    def write(self, examples: list[int]) -> tuple[list[str], float]:
        """Return the texts of some test examples, and the seconds that writing them took."""
        sources, mask = self.trained.sources(self.ids, examples)
        wait_for(sources.device)
        start = time.perf_counter()
        ids = self.trained.generate(sources, mask).ids
        wait_for(sources.device)
        return decode_texts(self.trained.tokenizer, ids.tolist()), time.perf_counter() - start


def test_split(plan: Plan) -> Split:
    """Return the test examples that all models write for."""
    config = plan.config(plan.models[0], plan.seeds[0])
    folder = find_dataset(config["data_path"], plan.dataset)
    return load_split(folder, "test", quick_test_limit(config["quick_test"]))


def write_side_by_side(plan: Plan, seed: int) -> dict[str, dict[str, Any]]:
    """Return, for each model, its `texts`, `ms_per_example` and number of `parameters`; what is known is not redone."""
    path, split = plan.out / f"side-by-side-{seed}.json", test_split(plan)
    trained = max((plan.run_folder(model, seed) / RESULTS).stat().st_mtime for model in plan.models)
    known = _read_known(path, trained)
    if _is_sound(known, plan, len(split.source)):
        return known
    contestants = {model: load_contestant(plan.run_folder(model, seed), split) for model in plan.models}
    first = next(iter(contestants.values()))
    take_turns(list(contestants.values()), split, first.trained.config["eval_batch_size"], f"seed {seed}")
    found = {
        name: {
            "texts": contestant.texts,
            "ms_per_example": contestant.ms_per_example,
            "parameters": contestant.trained.model.num_parameters(),
        }
        for name, contestant in contestants.items()
    }
    write_atomically(path, json.dumps(found, ensure_ascii=False))
    return found


def take_turns(contestants: Sequence[Contestant], split: Split, size: int, name: str) -> None:
    """Let all write for a split, `size` examples at once; `name` is shown by the bar."""
    # Texts of like length share a batch, as in a run's own test.
    order = sorted(range(len(split.source)), key=lambda example: -len(split.source[example]))
    for contestant in contestants:
        contestant.write(order[:size])  # warms up
    for start in tqdm(range(0, len(order), size), desc=name, disable=None):
        examples = order[start : start + size]
        for contestant in contestants:
            texts, seconds = contestant.write(examples)
            contestant.seconds += seconds
            for example, text in zip(examples, texts, strict=True):
                contestant.texts[example] = text


def _read_known(path: Path, trained: float) -> Any:
    """Return what is known since a time, None if that is nothing, or a run was made anew meanwhile."""
    try:
        return read_json(path) if path.stat().st_mtime >= trained else None
    except (OSError, ValueError):
        return None


def _is_sound(known: Any, plan: Plan, examples: int) -> bool:
    return (
        isinstance(known, dict)
        and set(known) == set(plan.models)
        and all(isinstance(written, dict) for written in known.values())
        and all(_are_texts(written.get("texts"), examples) for written in known.values())
        and all(isinstance(written.get("parameters"), int) for written in known.values())
        and all(isinstance(written.get("ms_per_example"), float) for written in known.values())
        and all(written["ms_per_example"] > 0 for written in known.values())
    )


def _are_texts(texts: Any, examples: int) -> bool:
    return isinstance(texts, list) and len(texts) == examples and all(isinstance(text, str) for text in texts)


def load_contestant(run: Path, split: Split, **changes: Any) -> Contestant:
    """Load a run's best checkpoint, to write for a split's sources.

    Args:
        changes: values of its configuration that are not its run's.

    Raises:
        UserError: the folder is no run's, or what it holds is damaged.
    """
    trained = load_trained(run_config(run / SAVED_CONFIG, run / BEST, **changes))
    return Contestant(trained, trained.encode(split), [""] * len(split.source))
