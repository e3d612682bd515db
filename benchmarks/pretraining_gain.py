"""Does pre-training help, and does permuting exit layers? Four ways to spend the same compute, one table.

(a) fine-tuning from scratch; (b) LPLM, then fine-tuning; (c) the same with all exits at the last layer in
pre-training; (d) BART: denoising, then fine-tuning. These rows have one tokenizer, one size, one corpus and one budget
of floating-point operations, forward and backward, counted on real batches of each phase. (e) goes on from the
pre-training of (b) for as many fine-tuning steps as (a) has, which is more compute.
"""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.starting import start
from textbox_elmer.bench.options import Options
from textbox_elmer.datasets.apidoc.making import build_apidoc
from textbox_elmer.errors import UserError
from textbox_elmer.files import write_atomically
from textbox_elmer.pretraining.corpus import (
    CorpusBatches,
    CorpusLoader,
    TextCorpus,
    build_index,
    find_files,
    sample_texts,
)
from textbox_elmer.runtime.catalogue.datasets import APIDOC, APIDOC_PROSE
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.config import Config, parse_command_line, resolve_config
from textbox_elmer.runtime.data import encode_split, load_split, load_tokenizer, train_tokenizer
from textbox_elmer.runtime.data.collators import fine_tuning_collator
from textbox_elmer.runtime.models.building import build_model
from textbox_elmer.runtime.models.generation import generate_ids
from textbox_elmer.runtime.pretraining_run import prepare_pretraining
from textbox_elmer.runtime.runs.logs import log_to_console
from textbox_elmer.runtime.training.processes import Processes
from textbox_elmer.subprocesses import environment, run_command
from textbox_elmer.trials.trial import keep_settings

OPTIONS: Options = {
    "out": ("saved/pretraining_gain", "the folder of its runs"),
    "data_path": ("dataset", "the folder of datasets"),
    "rows": ("abcde", "which ways"),
    "alignment": ("dag", "of the ELMERs: dag, ctc or position"),
    "steps": (3600, "the budget, in fine-tuning steps of row (a)"),
    "pretraining_share": (0.7, "pre-training's share of the budget"),
    "d_model": (128, "the models' width"),
    "layers": (3, "layers of the encoder, and of the decoder"),
    "batch_size": (32, "examples of a training step"),
    "learning_rate": (3e-3, "the highest learning rate"),
    "text_len": (32, "most tokens of a pre-training text"),
    "src_len": (64, "most tokens of a source in fine-tuning"),
    "tgt_len": (24, "most tokens of a target in fine-tuning"),
    "use_gpu": (False, "whether to train on a GPU where there is one"),
}
# What the calls for one table may differ in.
FREE = ("out", "rows", "data_path")
BATCHES_COUNTED = 16
LATENCY_ROUNDS, LATENCY_BATCH = 7, 64


@dataclass(frozen=True)
class Row:
    """One way to spend the budget.

    Attributes:
        key, name, model: the row's letter, what the table calls it, and what the host calls its model.
        pretraining: the options of its pre-training; none: there is none.
        shares: the row whose pre-training it takes, beside which it is fine-tuned for as long as row (a).
    """

    key: str
    name: str
    model: str
    pretraining: tuple[str, ...] = ()
    shares: str = ""

    @property
    def pretrained(self) -> str:
        """The folder of its pre-training."""
        return f"{self.shares or self.key}-pretrain"


ROWS = (
    Row("a", "ELMER, fine-tuned from scratch", "ELMER"),
    Row("b", "ELMER, LPLM, fine-tuned", "ELMER", ("--pretrain_task=lplm",)),
    Row("c", "ELMER, all exits last, fine-tuned", "ELMER", ("--pretrain_task=denoising", "--exit_mode=last")),
    Row("d", "BART, denoising, fine-tuned", "BART", ("--pretrain_task=denoising",)),
    Row("e", "ELMER, LPLM, fine-tuned as long as (a)", "ELMER", ("--pretrain_task=lplm",), "b"),
)


def main(settings: dict[str, Any]) -> None:
    """Run what is not done yet, then print the table of all rows that are, and write it as JSON.

    Args:
        settings: those of `OPTIONS`; `steps` is the budget, in fine-tuning steps of row (a).

    Raises:
        UserError: data that cannot be made.
    """
    log_to_console("warning")
    bench = Bench(settings)
    for row in ROWS:
        if row.key in bench.settings["rows"]:
            bench.run(row)
    bench.report()


class Bench:
    """The bench's folder, its data and its runs; what is finished there is not done again."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings, self.out = settings, Path(settings["out"])
        fixed = {name: value for name, value in settings.items() if name not in FREE}
        keep_settings(self.out, fixed, "--out")
        data_path = Path(settings["data_path"])
        if not all((data_path / name / "train.src").exists() for name in (APIDOC, APIDOC_PROSE)):
            print(build_apidoc(data_path))
        self.tokenizer = self.out / "tokenizer"
        if not self.tokenizer.exists():
            texts = sample_texts(build_index(find_files(data_path / APIDOC_PROSE).train))
            train_tokenizer(texts, 4000).save_pretrained(self.tokenizer)

    def options(self, row: Row, phase: str) -> list[str]:
        """Return the options of a row's phase, "pretrain" or "finetune", but its number of steps."""
        layers, width = self.settings["layers"], self.settings["d_model"]
        sizes = {"d_model": width, "encoder_layers": layers, "decoder_layers": layers}
        sizes |= {"encoder_ffn_dim": 4 * width, "decoder_ffn_dim": 4 * width, "init_std": round(width**-0.5, 4)}
        if row.model == "ELMER":
            alignment = self.settings["alignment"]
            sizes |= {"alignment": alignment, "canvas_scale": 1 if alignment == "position" else 2}
        scratch = [f"--{key}={value}" for key, value in sizes.items()] + [f"--tokenizer_path={self.tokenizer}"]
        common = {
            "model": row.model,
            "data_path": self.settings["data_path"],
            "saved_dir": self.out,
            "use_gpu": self.settings["use_gpu"],
            "train_batch_size": self.settings["batch_size"],
            "learning_rate": self.settings["learning_rate"],
            "scheduler": "linear",
            "scheduler_kwargs": "{n_warmup_steps: 200}",
            "grad_clip": 1.0,
            "label_smoothing": 0.0,
            "dropout": 0.0,
            "valid_strategy": "step",
            "stopping_steps": 0,
        }
        words = [f"--{key}={value}" for key, value in common.items()]
        if phase == "pretrain":
            return [
                *words,
                *scratch,
                *row.pretraining,
                f"--dataset={APIDOC_PROSE}",
                f"--src_len={self.settings['text_len']}",
            ]
        start = [f"--model_path={self.out / row.pretrained / 'checkpoint_best'}"] if row.pretraining else scratch
        start += [f"--{key}={self.settings[key]}" for key in ("src_len", "tgt_len")]
        return [*words, *start, f"--dataset={APIDOC}"]

    def run(self, row: Row) -> None:
        """Spend a row's budget: its pre-training, then its fine-tuning."""
        budget = self.settings["steps"] * self.flops(ROWS[0], "finetune")
        share = self.settings["pretraining_share"] if row.pretraining else 0.0
        if row.pretraining:
            steps = round(budget * share / self.flops(row, "pretrain"))
            self._train(row, "pretrain", self.out / row.pretrained, steps)
        steps = self.settings["steps"] if row.shares else round(budget * (1 - share) / self.flops(row, "finetune"))
        self._train(row, "finetune", self.out / f"{row.key}-finetune", steps)

    def _train(self, row: Row, phase: str, folder: Path, steps: int) -> None:
        """Run a phase in a process of its own, or go on with it where it was stopped."""
        if (folder / "results.json").exists():
            return
        options = [*self.options(row, phase), f"--max_steps={steps}", f"--valid_steps={max(steps // 5, 1)}"]
        stopped = sorted(folder.glob("checkpoint-*[0-9]"), key=lambda path: int(path.name.split("-")[1]))
        if stopped:
            options = [option for option in options if not option.startswith("--model_path=")]
            options.append(f"--model_path={stopped[-1]}")
        command = run_command([*options, f"--filename={folder.name}"])
        print(f"({row.key}) {phase}: {steps} steps", flush=True)
        if subprocess.run(command, env=environment(), check=False).returncode:
            raise UserError(f"The {phase} of row {row.key} failed, as said above: repeat the command to go on with it.")

    def flops(self, row: Row, phase: str) -> float:
        """Return the floating-point operations of one training step of a phase, the mean over some real batches."""
        path = self.out / f"flops-{row.key}-{phase}.json"
        if not path.exists():
            write_atomically(path, json.dumps(self._count(row, phase)))
        return json.loads(path.read_text())

    def _count(self, row: Row, phase: str) -> float:
        # Counted from scratch always: the operations depend on sizes alone.
        size = self.settings["batch_size"]
        row_from_scratch = Row(row.key, row.name, row.model) if phase == "finetune" else row
        config, spec = parse(self.options(row_from_scratch, phase)), find_model(row.model)
        if phase == "pretrain":
            job = prepare_pretraining(config, spec, Processes(False))
            model = job.model
            assert isinstance(job.train, TextCorpus)  # which lies in files
            sampler = CorpusBatches(job.train, size, seed=0)
            loader = CorpusLoader(job.train, batch_sampler=sampler, collate_fn=job.collator)
            batches = list(islice(loader, BATCHES_COUNTED))
        else:
            tokenizer = load_tokenizer(str(self.tokenizer))
            split = load_split(Path(self.settings["data_path"]) / APIDOC, "train", size * BATCHES_COUNTED)
            model, ids = build_model(config, spec, tokenizer), encode_split(split, tokenizer, config)
            collate = fine_tuning_collator(config, spec, tokenizer)
            batches = [collate([ids[i] for i in range(start, start + size)]) for start in range(0, len(ids), size)]
        model.train()
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            for batch in batches:
                model(**batch).loss.backward()
        return counter.get_total_flops() / len(batches)

    def report(self) -> None:
        """Measure latency, interleaved, and print and write the table of all finished rows."""
        done = [row for row in ROWS if (self.out / f"{row.key}-finetune" / "results.json").exists()]
        latency = self.latency(done)
        table = []
        for row in done:
            results = json.loads((self.out / f"{row.key}-finetune" / "results.json").read_text())
            entry = {"row": row.key, "name": row.name, **results["metrics"], "ms_per_example": latency[row.key]}
            entry |= {"finetune_steps": results["training"]["steps"], "seconds": results["training"]["seconds"]}
            entry |= {"finetune_flops_per_step": self.flops(row, "finetune"), "pretrain_steps": 0}
            if row.pretraining:
                before = json.loads((self.out / row.pretrained / "results.json").read_text())
                entry |= {
                    "pretrain_steps": before["training"]["steps"],
                    "pretrain_loss": before["training"]["best_score"],
                }
                entry |= {"pretrain_flops_per_step": self.flops(row, "pretrain")}
                entry["seconds"] += before["training"]["seconds"]
            entry["flops"] = entry["finetune_steps"] * entry["finetune_flops_per_step"]
            entry["flops"] += entry["pretrain_steps"] * entry.get("pretrain_flops_per_step", 0)
            table.append(entry)
        write_atomically(
            self.out / "pretraining_gain.json", json.dumps({"settings": self.settings, "rows": table}, indent=2)
        )
        print(markdown(table, self.settings))

    def latency(self, rows: Sequence[Row]) -> dict[str, float]:
        """Return each row's median milliseconds per test example, batches of 64, the rows taking turns."""
        tokenizer = load_tokenizer(str(self.tokenizer))
        prepared = {}
        for row in rows:
            path = self.out / f"{row.key}-finetune" / "checkpoint_best"
            words = [word for word in self.options(row, "finetune") if not word.startswith("--model_path=")]
            config, spec = parse([*words, f"--model_path={path}"]), find_model(row.model)
            split = load_split(Path(self.settings["data_path"]) / APIDOC, "test", LATENCY_BATCH)
            ids = encode_split(split, tokenizer, config)
            batch = fine_tuning_collator(config, spec, tokenizer)([ids[i] for i in range(len(ids))])
            prepared[row.key] = (build_model(config, spec, tokenizer).eval(), spec, config, batch)
        times: dict[str, list[float]] = {row.key: [] for row in rows}
        for _ in range(LATENCY_ROUNDS):
            for key, (model, spec, config, batch) in prepared.items():
                start = time.perf_counter()
                generate_ids(model, spec, config, batch["input_ids"], batch["attention_mask"])
                times[key].append(1000 * (time.perf_counter() - start) / LATENCY_BATCH)
        return {key: statistics.median(measured) for key, measured in times.items()}


def parse(words: Sequence[str]) -> Config:
    """Resolve a command line's options."""
    return resolve_config(command_line=parse_command_line(words))


def markdown(table: Sequence[dict[str, Any]], settings: dict[str, Any]) -> str:
    """Return the rows as a table for docs/results.md, under a line that says how they came about."""
    width, layers = settings["d_model"], settings["layers"]
    lines = [
        f"{layers}+{layers} layers, width {width}, {settings['alignment']}; "
        f"budget {table[0]['flops'] / 1e15:.3f} PFLOP a row, "
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.cuda.get_device_name() if settings['use_gpu'] else 'no GPU'}.",
        "",
        "| row | pre-training steps | its validation loss | fine-tuning steps | PFLOP "
        "| ROUGE-1 | ROUGE-2 | ROUGE-L | ms per example |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in table:
        loss = f"{row['pretrain_loss']:.3f}" if row["pretrain_steps"] else "-"
        scores = " | ".join(f"{row[name]:.2f}" for name in ("rouge-1", "rouge-2", "rouge-l", "ms_per_example"))
        steps = f"{row['pretrain_steps']:,} | {loss} | {row['finetune_steps']:,} | {row['flops'] / 1e15:.3f}"
        lines.append(f"| ({row['row']}) {row['name']} | {steps} | {scores} |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(start("pretraining_gain", main, OPTIONS))
