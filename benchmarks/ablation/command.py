"""Train every row for the same number of steps, let it write, print the table."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from benchmarks.ablation.rows import ROWS, TEACHER, Row
from benchmarks.ablation.table import markdown
from benchmarks.ablation.training import shuffled, train
from benchmarks.ablation.writing import TransitionEntropy, scores, write
from benchmarks.copying_bart import CopyingBart
from textbox_elmer.bench.options import Options
from textbox_elmer.datasets.distillation.distill import distill_with
from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically
from textbox_elmer.runtime.catalogue.distilled import RECORD
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import Config, resolve_config
from textbox_elmer.runtime.data import (
    find_dataset,
    fine_tuning_collator,
    load_split,
    load_tokenizer,
    train_tokenizer,
    training_texts,
)
from textbox_elmer.runtime.models.building import build_model
from textbox_elmer.runtime.models.special_ids import special_ids
from textbox_elmer.runtime.runs.logs import log_to_console
from textbox_elmer.runtime.trained import TrainedModel

OPTIONS: Options = {
    "out": ("saved/ablation", "the folder of its runs"),
    "dataset": ("apidoc", "whose texts are learnt and written"),
    "data_path": ("dataset", "the folder of datasets"),
    "rows": (",".join(row.key for row in ROWS), "which models"),
    "steps": (800, "steps of each training"),
    "seed": (2020, "seed of all random numbers"),
    "d_model": (128, "the models' width"),
    "layers": (3, "layers of the encoder, and of the decoder"),
    "canvas_scale": (2.0, "positions a token of a graph's or ctc's canvas"),
    "batch_size": (32, "examples of a training step"),
    "learning_rate": (2e-3, "the highest learning rate"),
    "src_len": (64, "most tokens of a source"),
    "tgt_len": (24, "most tokens of a target"),
    "threads": (1, "threads of the processor"),
}
VOCABULARY = 4000
# What a folder's rows may differ in and still be of one table.
FREE = ("out", "rows", "data_path")
ROW, SETTINGS, TABLE, MODEL, DISTILLED = "row.json", "settings.json", "ablation.json", "model", "distilled"


def main(settings: dict[str, Any]) -> None:
    """Run the asked-for rows that are not done yet, then print the table of all that are, and write it as JSON.

    Args:
        settings: those of `OPTIONS`; `rows` are separated by commas.

    Raises:
        UserError: an unknown row, no such dataset, a folder with rows of other settings.
    """
    known = {row.key: row for row in ROWS}
    keys = settings["rows"].split(",")
    for key in keys:
        if key not in known:
            raise UserError(f"The option --rows knows {', '.join(known)}, not {key!r}.")
    log_to_console("warning")
    bench = Bench(settings)
    before = torch.get_num_threads()
    torch.set_num_threads(settings["threads"])
    try:
        # The teacher comes before those who learn from it.
        for key in sorted(keys, key=lambda key: known[key].distilled):
            bench.run(known[key])
    finally:
        torch.set_num_threads(before)
    bench.report()


class Bench:
    """The bench's folder; a row that is finished there is not done again."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings, self.out = settings, Path(settings["out"])
        self.origin = find_dataset(settings["data_path"], settings["dataset"])
        self.splits = {name: load_split(self.origin, name) for name in ("train", "valid", "test")}
        self.out.mkdir(parents=True, exist_ok=True)
        self._check_settings()
        if not (self.out / "tokenizer").exists():
            tokenizer = train_tokenizer(training_texts(self.splits["train"]), VOCABULARY)
            tokenizer.save_pretrained(self.out / "tokenizer")
        self.tokenizer = load_tokenizer(str(self.out / "tokenizer"))

    def run(self, row: Row) -> None:
        """Train a row and let it write, unless that is done."""
        folder = self.out / row.key
        if (folder / ROW).exists():
            return
        train_split, teacher = self.splits["train"], None
        if row.distilled:
            train_split, teacher = load_split(self._distilled(), "train"), self._teacher_seconds()
        torch.manual_seed(self.settings["seed"])
        trained = self._trained(row)
        step, training = train(
            trained.model,
            self._batches(trained, train_split),
            self.settings["steps"],
            self.settings["learning_rate"],
            row.glances,
            row.key,
        )
        trained.model.save_pretrained(folder / MODEL)
        found: dict[str, Any] = asdict(row) | {"parameters": trained.model.num_parameters()}
        found |= {"seconds_per_step": step, "training_seconds": training, "teacher_seconds": teacher}
        found |= self._writing(row, trained)
        write_atomically(folder / ROW, json.dumps(found, indent=2))

    def report(self) -> None:
        """Print and write the table of all finished rows."""
        paths = [self.out / row.key / ROW for row in ROWS]
        rows = [json.loads(path.read_text()) for path in paths if path.exists()]
        write_atomically(self.out / TABLE, json.dumps({"settings": self.settings, "rows": rows}, indent=2))
        print(markdown(rows, self.settings))

    def _check_settings(self) -> None:
        path = self.out / SETTINGS
        ours = {key: value for key, value in self.settings.items() if key not in FREE}
        theirs = json.loads(path.read_text()) if path.exists() else ours
        for key, value in ours.items():
            if theirs.get(key) != value:
                raise UserError(
                    f"{str(self.out)!r} holds rows with --{key}={theirs.get(key)}, not {value}: give another --out."
                )
        write_atomically(path, json.dumps(ours, indent=2))

    def _config(self, row: Row) -> Config:
        layers, width = self.settings["layers"], self.settings["d_model"]
        options = {f"{part}_layers": layers for part in ("encoder", "decoder")}
        options |= {f"{part}_ffn_dim": 4 * width for part in ("encoder", "decoder")}
        options |= {"d_model": width, "init_std": round(width**-0.5, 4), "dropout": 0.0, "use_gpu": False}
        options |= {key: self.settings[key] for key in ("data_path", "src_len", "tgt_len")}
        # Texts are written greedily where the host writes them, as a teacher.
        greedy = {"num_beams": 1, "do_sample": False} if row.model == "BART" else {}
        options |= {"generation_kwargs": greedy | {"max_length": self._longest(row)}}
        options |= row.fields(self.settings["canvas_scale"])
        return resolve_config(row.model, self.settings["dataset"], config_dict=options)

    def _longest(self, row: Row) -> int:
        """Return the most ids that `generate` may write; BART's begin with one that is none of the text's."""
        return self.settings["tgt_len"] + (row.model == "BART")

    def _trained(self, row: Row, weights: Path | None = None) -> TrainedModel:
        """Return a row's model, from `weights` or untrained."""
        config, spec = self._config(row), find_model(row.model)
        model: PreTrainedModel = build_model(config, spec, self.tokenizer)
        if row == TEACHER:
            start = model
            model = CopyingBart(start.config) if weights is None else CopyingBart.from_pretrained(weights)
            model.generation_config = start.generation_config
        special = special_ids(spec, self.tokenizer, config)
        return TrainedModel(spec, config, self.tokenizer, special, model.eval())

    def _batches(self, trained: TrainedModel, split: Any) -> Iterator[dict[str, Any]]:
        ids = trained.encode(split)
        collate = fine_tuning_collator(trained.config, trained.spec, self.tokenizer)
        for examples in shuffled(len(ids), self.settings["batch_size"], self.settings["seed"]):
            columns = ids[examples]
            rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
            batch = collate(rows)
            # A loss needs no logits of all words where the model can do without.
            yield batch | {"return_logits": False} if trained.spec.parallel else batch

    def _writing(self, row: Row, trained: TrainedModel) -> dict[str, Any]:
        """Return the scores of each way of writing, and which is the best by ROUGE-2 on valid."""
        ids = {name: trained.encode(self.splits[name]) for name in ("valid", "test")}
        decodings: dict[str, Any] = {}
        for name, options in row.decodings().items():
            written = decodings[name] = {}
            for split, encoded in ids.items():  # the clock's is the second, when all is warm
                said = f"{row.key}: {name}, {split}"
                texts, ms = write(trained, encoded, self._longest(row), options, said)
                written |= {split: scores(texts, self.splits[split], trained.config), "ms_per_text": ms}
        entropy = self._entropy(trained, ids["valid"]) if row.alignment == "dag" else None
        chosen = max(decodings, key=lambda name: decodings[name]["valid"]["rouge-2"])
        return {"decodings": decodings, "chosen": chosen, "transition_entropy": entropy}

    def _entropy(self, trained: TrainedModel, ids: Any) -> float:
        with TransitionEntropy(cast(torch.nn.Module, trained.model.links)) as entropy:
            write(trained, ids, self.settings["tgt_len"], {}, "transitions")
        return entropy.mean()

    def _distilled(self) -> Path:
        """Return the dataset with the teacher's texts, made when it is first asked for."""
        folder = self.out / DISTILLED
        if not folder.exists():
            self.run(TEACHER)
            weights = self.out / TEACHER.key / MODEL
            teacher = self._trained(TEACHER, weights)
            named = Config(dict(teacher.config) | {"model_path": str(weights)})
            teacher = replace(teacher, config=named)
            print(distill_with(teacher, self.settings["dataset"], self.origin, folder))
        return folder

    def _teacher_seconds(self) -> dict[str, float]:
        trained = json.loads((self.out / TEACHER.key / ROW).read_text())
        written = json.loads((self.out / DISTILLED / RECORD).read_text())
        return {"training": trained["training_seconds"], "writing": written["seconds"]}
