"""The folder in which the documents' commands are run: what they name, small."""

import os
import re
import shutil
from pathlib import Path

import pyarrow
import pyarrow.parquet
import yaml
from transformers import BartConfig, BartForConditionalGeneration

from tests.conftest import PUBLISHED, TINY_BART, TINY_T5, save_small_elmer, write_toy
from textbox_elmer import run_textbox
from textbox_elmer.shipped import shipped_properties

DATASETS = ("apidoc", "apidoc-prose", "mydata", "mycorpus", "samsum", "xsum")
SIZES = {"train": 40, "valid": 4, "test": 6}
RUN = {"epochs": 1, "use_gpu": False, "src_len": 24, "tgt_len": 10, "metrics": ["rouge"], "train_batch_size": 16}
FROM_SCRATCH = {"vocab_size": 300, "d_model": 32}
# What stands for the names in pointed brackets. Of the runs, `<that run>` is the one that a command has just made.
LATEST = "<that run>"
PLACES = {"<run>": "run", "<another run>": "another", "<teacher>": "bart", "<the BART run>": "bart"}


def make_project(folder: Path) -> None:
    """Fill the working directory, `folder`: datasets, settings that make runs small, trained runs, checkpoints."""
    for name in DATASETS:
        write_toy(folder / "dataset" / name, SIZES)
    _shrink("overall", RUN)
    for name in ("apidoc", "samsum", "xsum"):
        _shrink(f"dataset/{name}", RUN | {"accumulation_steps": 1})
    for name, sizes in (("ELMER", TINY_BART), ("BART", TINY_BART), ("T5", TINY_T5)):
        _shrink(f"model/{name}", FROM_SCRATCH | sizes)
    for run, model in (("run", "ELMER"), ("another", "ELMER"), ("bart", "BART")):
        run_textbox(model, "apidoc", config_dict={"filename": run})
    texts = (folder / "dataset" / "apidoc" / "test.src").read_text()
    (folder / "texts.txt").write_text(texts)
    (folder / "table.csv").write_text("question,answer\n" + "".join(f"what {n} is,it is {n}\n" for n in range(40)))
    pyarrow.parquet.write_table(pyarrow.table({"document": texts.splitlines()}), folder / "articles.parquet")
    elmer = save_small_elmer(folder / "RUCAIBox" / "elmer", canvas_length=10, **PUBLISHED)
    shutil.copytree(elmer, folder / "facebook" / "bart-base")
    sizes = TINY_BART | {f"{side}_attention_heads": 4 for side in ("encoder", "decoder")}
    config = BartConfig.from_pretrained(elmer, **sizes)
    BartForConditionalGeneration(config).save_pretrained(folder / "facebook" / "bart-base")


def placed(text: str) -> str:
    """Return a block with the names of this folder in place of those in pointed brackets."""
    latest = max(Path("saved").iterdir(), key=os.path.getmtime).name if LATEST in text else ""
    (step,) = {path.name.rpartition("-")[2] for path in Path("saved/run").glob("checkpoint-*")}
    known = PLACES | {LATEST: latest, "<step>": step}
    return re.sub(r"<\w[\w ]*>", lambda found: known[found[0]], text)


def _shrink(name: str, changes: dict[str, object]) -> None:
    shipped = yaml.safe_load((shipped_properties() / f"{name}.yaml").read_text())
    path = Path("properties") / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(shipped | changes))
