"""The model card of a run's best checkpoint: what whoever finds the folder, here or on the hub, has to know of it."""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from textbox_elmer.files import write_atomically
from textbox_elmer.runtime.catalogue.model_spec import LANGUAGES
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import Config

CARD = "README.md"
# What `license` says until somebody fills it in; the hub knows the word.
NO_LICENCE = "unknown"
TASK = "text-generation"
# What a text depends on that the checkpoint itself does not keep.
NOT_KEPT = ("src_len", "tgt_len", "prefix_prompt")
HOW_IT_WRITES = ("alignment", "canvas_scale", "copy_source", "exit_mode")


def write_card(folder: Path, results: Mapping[str, Any], config: Config, fields: Mapping[str, Any]) -> None:
    """Write the README.md of a checkpoint.

    Args:
        folder: the checkpoint.
        results: the run's, as results.json holds them; tests and training may be missing.
        config: the run's.
        fields: the model's own configuration.

    Raises:
        OSError: it cannot be written.
    """
    scores = {name: round(score, 4) for name, score in results.get("metrics", {}).items() if _is_number(score)}
    data = ModelCardData(
        license=NO_LICENCE,
        library_name="transformers",
        pipeline_tag=TASK,
        tags=["textbox-elmer", *(["non-autoregressive"] if find_model(config.model).parallel else [])],
        model_name=f"{config.model} on {config.dataset}",
        eval_results=[
            EvalResult(TASK, config.dataset, config.dataset, name, score, dataset_split="test")
            for name, score in scores.items()
        ]
        or None,
    )
    parts = [_loading(config), _writing(config, fields), _training(results, config), _scores(results)]
    body = "\n\n".join([f"# {config.model} on {config.dataset}", *filter(None, parts), _licence()])
    write_atomically(folder / CARD, f"---\n{data.to_yaml()}\n---\n\n{body}\n")


def _is_number(score: Any) -> bool:
    return isinstance(score, (int, float)) and math.isfinite(score)


def _loading(config: Config) -> str:
    spec = find_model(config.model)
    keys = (*NOT_KEPT, *(LANGUAGES if spec.format.has_languages else ()))
    options = [f"--{key}={shlex.quote(str(config[key]))}" for key in keys if config[key] is not None]
    auto = "AutoModelForCausalLM" if spec.causal else "AutoModelForSeq2SeqLM"
    ours = "import textbox_elmer.model  # makes ELMER known to transformers\n" if spec.parallel else ""
    return f"""\
## How to load it

Where the package `textbox-elmer` is installed; `PATH` is this folder, or its name on the hub:

    textbox-elmer generate --model_path=PATH --model={spec.name} {" ".join(options)} < texts.txt

```python
{ours}from transformers import {auto}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PATH")
model = {auto}.from_pretrained("PATH")
```"""


def _writing(config: Config, fields: Mapping[str, Any]) -> str:
    told = {key: fields[key] for key in HOW_IT_WRITES if key in fields} if find_model(config.model).parallel else {}
    told |= config["generation_kwargs"] or {}
    return _listed("How it writes", {key.replace("_", " "): value for key, value in told.items()})


def _training(results: Mapping[str, Any], config: Config) -> str:
    training, versions = results.get("training", {}), results["versions"]
    return _listed(
        "Data and training",
        {
            "dataset": config.dataset,
            "pre-training task": results.get("pretrain_task"),
            "parameters": f"{results['parameters']:,}",
            "started from": None if config["model_path"] is None else Path(config["model_path"]).name,
            "steps": training.get("steps"),
            "best step": training.get("best_step"),
            "seconds": round(training["seconds"]) if training else None,
            "seed": results["seed"],
            "learning rate": config["learning_rate"],
            "batch size": config["train_batch_size"],
            "code": results["commit"] or f"textbox-elmer {versions['textbox-elmer']}",
            "libraries": ", ".join(f"{name} {versions[name]}" for name in ("python", "torch", "transformers")),
        },
    )


def _scores(results: Mapping[str, Any]) -> str:
    if "metrics" not in results:
        return ""
    rows = [
        f"| {name} | {score if isinstance(score, str) else f'{score:.2f}'} |"
        for name, score in results["metrics"].items()
    ]
    decoding = results["decoding"]
    rows.append(f"| ms per example (batches of {decoding['batch_size']}) | {decoding['ms_per_example']:.2f} |")
    return "\n".join(
        [f"## Scores on its {decoding['examples']:,} tests", "", "| metric | test |", "| --- | --- |", *rows]
    )


def _licence() -> str:
    return f"""\
## Licence

To be filled in: put the licence in place of `{NO_LICENCE}` at the top of this file, and what it asks for here. The
licences of the data, and of the weights that the training started from, may decide it."""


def _listed(title: str, facts: Mapping[str, Any]) -> str:
    lines = [f"- {name}: {value}" for name, value in facts.items() if value is not None]
    return "\n".join([f"## {title}", "", *lines]) if lines else ""
