"""What a server answers in a second: ELMER beside BART greedy and with 5 beams, batching on beside off."""

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from textbox_elmer.bench import serve_client
from textbox_elmer.bench.made_up_models import made_up_model, made_up_texts, planted_elmer
from textbox_elmer.bench.memory import resident_megabytes
from textbox_elmer.errors import UserError
from textbox_elmer.inference import TextWriter
from textbox_elmer.inference.serving.access import Access
from textbox_elmer.inference.serving.limits import Limits
from textbox_elmer.inference.serving.model import Asked, ServedModel
from textbox_elmer.inference.serving.server import serving
from textbox_elmer.runtime.config import Config
from textbox_elmer.runtime.trained import TrainedModel

TEXTS, BEAMS = 256, 5
ELMER, GREEDY, BEAM = "ELMER", "BART greedy", f"BART {BEAMS} beams"
BATCHING = {"on": {}, "off": {"max_wait_ms": 0, "max_batch_tokens": 1}}
AT, FASTER, SPREAD = 8, 4, 3  # the bars: clients, times as many requests/s as BART with beams, p99 / p50
LOCAL = Access(None, local=True)
# The soak: clients, every how many seconds one of them is killed, seconds until memory counts, by how much it may grow.
SOAKING, KILLED_EVERY, SETTLED, GROWTH = 16, 5.0, 60.0, 0.05


class Measured(NamedTuple):
    """What a number of clients saw.

    Attributes:
        rate: answers a second.
        p50, p99: percentiles of a request's milliseconds.
        tokens: of an answer, on average.
    """

    rate: float
    p50: float
    p99: float
    tokens: float


def main(settings: dict[str, Any]) -> None:
    """Print requests/s and latencies of every model, batching and number of clients, and the bars.

    Args:
        settings: the options of `bench serve`, as its --help lists them.

    Raises:
        UserError: a number of clients that is none.
    """
    words = str(settings["clients"]).split(",")
    if not all(word.isdecimal() and int(word) for word in words):
        raise UserError(f"--clients={settings['clients']} must be numbers above 0, separated by commas.")
    texts = made_up_texts(TEXTS, settings["src_len"])
    if settings["soak_minutes"]:
        soak(settings, texts)
    else:
        compare(settings, texts, [int(word) for word in words])


def compare(settings: Mapping[str, Any], texts: Sequence[str], clients: Sequence[int]) -> None:
    """Print a table of what each model's server does for each number of clients, and how the bars are met."""
    models = [ServedModel(name, TextWriter(trained)) for name, trained in _peers(settings, texts).items()]
    print(
        f"{settings['layers']}+{settings['layers']} layers, width {settings['d_model']}, "
        f"vocabulary {settings['vocab_size']}, random weights; {settings['output']} tokens written for sources of "
        f"{settings['src_len']} at most; {settings['seconds']:g} s a row; {platform.machine()}, "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads\n\n"
        "| model | batching | clients | requests/s | p50, ms | p99, ms | tokens |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    found: dict[tuple[str, str, int], Measured] = {}
    for batching, limits in BATCHING.items():
        with serving(models, Limits(**limits), LOCAL) as address:
            for model in models:
                for count in clients:
                    row = found[model.name, batching, count] = _measure(
                        address, model.name, count, settings["seconds"], texts
                    )
                    cells = f"{row.rate:.2f} | {row.p50:.0f} | {row.p99:.0f} | {row.tokens:.1f}"
                    print(f"| {model.name} | {batching} | {count} | {cells} |", flush=True)
    if AT in clients:
        ours, theirs = (found[name, "on", AT] for name in (ELMER, BEAM))
        print(
            f"\nat {AT} clients: {ELMER} / {BEAM} {ours.rate / theirs.rate:.2f} in requests/s (bar: {FASTER} or more); "
            f"p99 / p50 of {ELMER} {ours.p99 / ours.p50:.2f} (bar: {SPREAD} or less)"
        )


def soak(settings: Mapping[str, Any], texts: Sequence[str]) -> None:
    """Let clients ask for a while, kill one now and then, and print whether an answer was lost or another's.

    Raises:
        AssertionError: the model's answers are too much alike to tell.
    """
    model = ServedModel(ELMER, TextWriter(made_up_model("ELMER", settings, texts, {"init_std": 0.2})))
    expected = [model.write([Asked(source)])[0][0].text for source in tqdm(model.read(texts), desc="alone")]
    if len(set(expected)) < len(texts) // 2:
        raise AssertionError("the model answers most texts alike: give other sizes")
    pairs, draw = list(zip(texts, expected, strict=True)), random.Random(0)
    seconds, killed, settled = 60 * settings["soak_minutes"], 0, 0.0
    rows: list[Row] = []
    with serving([model], Limits(), LOCAL) as address, tqdm(total=round(seconds), desc="soak", unit="s") as bar:
        start = time.monotonic()
        clients = [Client(address, ELMER, 1, seconds, _from(pairs, place)) for place in range(SOAKING)]
        while (left := seconds - (time.monotonic() - start)) > 0:
            time.sleep(min(left, KILLED_EVERY))
            bar.update(min(round(time.monotonic() - start), round(seconds)) - bar.n)
            if not settled and time.monotonic() - start >= min(SETTLED, seconds / 2):
                settled = resident_megabytes()
            if left > 2 * KILLED_EVERY:
                place = draw.randrange(SOAKING)
                rows += clients[place].kill()
                clients[place] = Client(address, ELMER, 1, left - KILLED_EVERY, _from(pairs, place))
                killed += 1
        growth = resident_megabytes() / settled - 1
        rows += [row for client in clients for row in client.answers()]
    faults = sum(not row.is_right for row in rows)
    print(
        f"{settings['soak_minutes']:g} minutes, {SOAKING} clients, {killed} of them killed: {len(rows):,} answers, "
        f"{faults} lost or mixed up; resident memory {100 * growth:+.1f} % after the first minute, or the first half "
        f"(bar: {100 * GROWTH:.0f} % or less)"
    )


class Row(NamedTuple):
    """A request, as `serve_client` prints it.

    Attributes:
        end: when it was answered, by the system's clock.
        took: seconds until then.
        tokens: how many were written.
        is_right: whether it was answered, and by what was expected.
    """

    end: float
    took: float
    tokens: int
    is_right: bool


class Client:
    """A process of `serve_client`.

    Args:
        address, model, count, seconds: its arguments.
        pairs: texts, each with the answer that is expected, or None.
    """

    def __init__(
        self, address: str, model: str, count: int, seconds: float, pairs: Sequence[tuple[str, str | None]]
    ) -> None:
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe that nobody reads would fill up
        command = [sys.executable, serve_client.__file__, address, model, str(count), str(seconds)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self._output, text=True)
        assert self._process.stdin is not None
        with self._process.stdin as stdin:
            json.dump(pairs, stdin)

    def answers(self) -> list[Row]:
        """Wait for its end and return its requests; one more, which is not right, if it ended by a fault."""
        fault = self._process.wait()
        rows = self._rows()
        return [*rows, Row(0.0, 0.0, 0, False)] if fault else rows

    def kill(self) -> list[Row]:
        """Kill it in the middle of whatever it does, and return the requests that were answered."""
        self._process.kill()
        self._process.wait()
        return self._rows()

    def _rows(self) -> list[Row]:
        with self._output as output:
            output.seek(0)
            return [Row(*json.loads(line)) for line in output if line.endswith("\n")]


def _peers(settings: Mapping[str, Any], texts: Sequence[str]) -> dict[str, TrainedModel]:
    bart = made_up_model("BART", settings, texts, {})
    # BART counts the token that it starts with, too; words are all that it may write until it must end.
    bart.model.generation_config.forced_bos_token_id = None
    options = dict.fromkeys(("min_length", "max_length"), settings["output"] + 1)
    options["suppress_tokens"] = sorted({*bart.tokenizer.all_special_ids} - {bart.tokenizer.eos_token_id})
    peers = {ELMER: planted_elmer(settings, texts)}
    for name, beams in ((GREEDY, 1), (BEAM, BEAMS)):
        config = Config({**bart.config, "generation_kwargs": {"num_beams": beams, **options}})
        peers[name] = replace(bart, config=config)
    return peers


def _measure(address: str, model: str, count: int, seconds: float, texts: Sequence[str]) -> Measured:
    rows = Client(address, model, count, seconds, [(text, None) for text in texts]).answers()
    if faults := [row for row in rows if not row.is_right]:
        raise AssertionError(f"{len(faults)} of {len(rows)} requests to {model} were not answered")
    took = np.array([row.took for row in rows])
    rate = len(rows) / (max(row.end for row in rows) - min(row.end - row.took for row in rows))
    p50, p99 = np.percentile(1000 * took, [50, 99])
    return Measured(rate, p50, p99, statistics.fmean(row.tokens for row in rows))


def _from(pairs: list[tuple[str, str]], place: int) -> list[tuple[str, str]]:
    first = place * len(pairs) // SOAKING
    return pairs[first:] + pairs[:first]
