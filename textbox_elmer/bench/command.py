"""`bench`: what users measure on their own machine, each beside a peer in the same run."""

import argparse
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from textbox_elmer.arguments import Parser
from textbox_elmer.bench.options import Options, add_options

MODELS: Options = {
    "layers": (6, "layers of the encoder, and of the decoder"),
    "d_model": (768, "the models' width"),
    "vocab_size": (50265, "tokens that the models know"),
}
DEVICE, ROUNDS = ("cpu", "cpu, or cuda where there is one"), "rounds that the medians are of"
OUT = "where the figures go"


class Bench(NamedTuple):
    """A module of this package: what its `main` prints for a mapping of options, and the options."""

    does: str
    options: Options
    example: str


BENCHES: Mapping[str, Bench] = {
    "latency": Bench(
        "how long a text takes: ELMER beside BART, in transformers and in CTranslate2, and beside the floor",
        {
            "out": ("saved/latency.json", OUT),
            "device": DEVICE,
            "shapes": ("xsum,squadqg,pc,cnndm", "which lengths of sources and texts"),
            "rows": (
                "bart,ctranslate2,plain,last,soft,hard,dag,onnx",
                "ways of writing; static: BART with that cache; compiled: soft and dag by torch.compile",
            ),
            "precisions": ("float32,bfloat16", "float32, bfloat16, float16"),
            "batch_sizes": ("1,best", "texts written at once; best: what soft exit is fastest with"),
            "rounds": (5, ROUNDS),
            **MODELS,
        },
        "--shapes=xsum --batch_sizes=1 --rounds=3",
    ),
    "training": Bench(
        "what a training step costs beside a plain one, which holds every exit's logits: memory, time, gradients",
        {
            "out": ("saved/training.json", OUT),
            "device": DEVICE,
            "rounds": (3, ROUNDS),
            "batch_size": (16, "examples of a step"),
            "source": (64, "tokens of a source"),
            "target": (64, "tokens of a target"),
            **MODELS,
        },
        "--rounds=1",
    ),
    "generate": Bench(
        "what the command `generate` costs beside the bare model, in texts a second",
        {
            "device": DEVICE,
            "texts": (256, "how many are read"),
            "batch_size": (32, "texts written at once"),
            "rounds": (5, ROUNDS),
            "layers": MODELS["layers"],
            "d_model": MODELS["d_model"],
            "src_len": (150, "most tokens of a source, of 20 at least"),
            "tgt_len": (64, "most tokens of a text"),
            "output": (14, "tokens that are written for each"),
        },
        "--texts=64",
    ),
    "serve": Bench(
        "what a server answers in a second: ELMER beside BART, batching on beside off",
        {
            "device": DEVICE,
            "clients": ("1,8,32", "how many ask at once"),
            "seconds": (20.0, "how long each row is measured"),
            **MODELS,
            "src_len": (150, "most tokens of a source, of 20 at least"),
            "tgt_len": (64, "most tokens of a text"),
            "output": (14, "tokens that are written for each"),
            "soak_minutes": (0.0, "instead, how long to let 16 clients ask, some of which are killed"),
        },
        "--clients=8 --seconds=10",
    ),
    "approximations": Bench(
        "what approximations do to a trained checkpoint's texts, and the time that they save",
        {
            "model_path": (..., "the checkpoint's folder"),
            "dataset": ("apidoc", "whose texts are read"),
            "data_path": ("dataset", "the folder of datasets"),
            "examples": (1000, "test examples that are written"),
            "batch_size": (16, "texts written at once"),
            "exit_mode": ("", "soft, hard or last (default: the checkpoint's own)"),
            "out": ("saved/approximations.json", OUT),
        },
        "--model_path=saved/<run>/checkpoint_best",
    ),
    "exits": Bench(
        "what hard exit loses in ROUGE-2 and saves in the decoder's time, over thresholds of its three criteria",
        {
            "model_path": (..., "a run's folder, a checkpoint's, or a name on the hub"),
            "dataset": ("apidoc", "whose texts are written"),
            "data_path": ("dataset", "the folder of datasets"),
            "examples": (1000, "test examples that are written"),
            "batch_size": (16, "texts written at once"),
            "rounds": (3, ROUNDS),
            "out": ("saved/exits.json", OUT),
            "plot": ("saved/exits.svg", "where the plot goes"),
        },
        "--model_path=saved/<run>",
    ),
}


def add_parser(commands: Any) -> Parser:
    """Add `bench` and a command for each bench to a parser's commands, and return its parser."""
    parser = commands.add_parser(
        "bench",
        help="measure something beside a peer in the same run",
        description="Measure something on this machine, beside a peer in the same run.",
        example="textbox-elmer bench latency --shapes=xsum --batch_sizes=1 --rounds=3",
    )
    benches = parser.add_commands()
    for name, bench in BENCHES.items():
        does, example = f"Print {bench.does}.", f"textbox-elmer bench {name} {bench.example}"
        child = benches.add_parser(name, help=bench.does, description=does, example=example)
        child.set_defaults(bench=name)
        add_options(child, bench.options)
    return parser


def run(arguments: argparse.Namespace) -> None:
    """Run the bench that a parsed command line names.

    Raises:
        UserError: whatever the user can put right.
    """
    settings = {name: getattr(arguments, name) for name in BENCHES[arguments.bench].options}
    import_module(f"textbox_elmer.bench.{arguments.bench}").main(settings)
