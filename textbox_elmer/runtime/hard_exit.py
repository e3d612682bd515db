"""Hard exit made ready to write: its classifier fitted, its threshold chosen by how far texts may change.

The threshold is found by testing one after the other, from the one that lets fewest tokens leave, and keeping the last
before the first that fails (fixed sequence testing; Schuster et al. 2022, arXiv 2207.07061): so the confidence is that
of a single test, however many are made.
"""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch import Tensor
from tqdm import tqdm

from textbox_elmer.errors import UserError
from textbox_elmer.files import put, remove
from textbox_elmer.model import fit_exit_classifier
from textbox_elmer.runtime.trained import TrainedModel
from textbox_elmer.runtime.training import checkpoints

logger = logging.getLogger(__name__)

CONFIDENCE = 0.95
# More texts tell little more, and take their time for every threshold.
MOST_TEXTS = 2000
# From the one that lets fewest leave; at the first nobody does.
THRESHOLDS = {
    "entropy": (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0),
    "confidence": (
        *(1.01, 0.9999, 0.9995, 0.999, 0.998, 0.995, 0.99, 0.98, 0.97, 0.95, 0.92, 0.9, 0.85, 0.8, 0.75, 0.7),
        *(0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0),
    ),
}


@dataclass(frozen=True)
class Calibration:
    """A threshold and what it was chosen by.

    Attributes:
        criterion: of the exit.
        threshold: the one that was chosen.
        target: the agreement that was asked for.
        agreement: mean over texts of the share of their tokens that are the last exit's.
        at_least, at_most: one-sided bounds of its expectation, each with `CONFIDENCE`.
        texts: how many it was measured on.
    """

    criterion: str
    threshold: float
    target: float
    agreement: float
    at_least: float
    at_most: float
    texts: int


@dataclass(frozen=True)
class ExitWork:
    """What hard exit is made ready with: the splits that its classifier and its threshold are found on, if wanted."""

    made: TrainedModel
    fits: Dataset | None
    calibrates: Dataset | None


def exit_work(made: TrainedModel, read: Callable[[str], Dataset]) -> ExitWork | None:
    """Return what has to be done for a run's hard exit, None if nothing.

    The classifier is fitted after a training, or where the checkpoint has none yet.

    Args:
        read: encodes a split.

    Raises:
        UserError: `exit_target` with another exit mode or model, or with a threshold that is given as well.
    """
    hard = made.spec.parallel and made.model.config.exit_mode == "hard"
    calibrates = made.config["exit_target"] is not None
    if calibrates and not hard:
        raise UserError(
            "exit_target is for the threshold of ELMER's hard exit: give --exit_mode=hard, or leave it out."
        )
    if calibrates and made.config["exit_threshold"] is not None:
        raise UserError("exit_target chooses exit_threshold, which is given as well: leave one of them out.")
    classifier = made.elmer.exit_classifier if hard else None
    fits = classifier is not None and (made.config["do_train"] or not classifier.weight.any())
    if not (fits or calibrates):
        return None
    return ExitWork(made, read("train") if fits else None, read("valid") if calibrates else None)


def make_ready(work: ExitWork, run: Path, keeps: bool) -> dict[str, Any]:
    """Fit the classifier and choose the threshold, as asked; return what the results say of it.

    Args:
        run: the run's folder, whose best checkpoint becomes the model as it then is.
        keeps: whether this process is the one that writes there.
    """
    if work.fits is not None:
        fit(work.made, work.fits)
    found = {} if work.calibrates is None else {"exit": calibrate(work.made, work.calibrates)}
    if keeps:
        new = run / checkpoints.NEW_BEST
        remove(new)
        work.made.model.save_pretrained(new)
        work.made.tokenizer.save_pretrained(new)
        put(new, run / checkpoints.BEST)
    return found


def fit(made: TrainedModel, train: Dataset) -> None:
    """Fit the exit classifier on the training split's first texts."""
    size = made.config["eval_batch_size"]
    hidden, total = made.config["disable_tqdm"] or None, math.ceil(len(train) / size)
    sources = tqdm(_batches(made, train, size), total=total, desc="exit classifier", disable=hidden)
    for layer, fitted in enumerate(fit_exit_classifier(made.elmer, sources)):
        logger.info(
            "Exit classifier, layer %d: predicts the last layer's word at %.1f%% of the positions, which it tells at "
            "%.1f%% of them.",
            layer,
            100 * fitted.settled,
            100 * fitted.told,
        )


def calibrate(made: TrainedModel, valid: Dataset) -> dict[str, Any]:
    """Set the model's threshold by `exit_target`, and return what results.json says of it."""
    model, target = made.elmer, made.config["exit_target"]
    criterion = model.config.exit_criterion
    valid = valid.select(range(min(len(valid), MOST_TEXTS)))
    batches = list(_batches(made, valid, made.config["eval_batch_size"]))
    thresholds = THRESHOLDS["entropy" if criterion == "entropy" else "confidence"]
    chosen: Calibration | None = None
    with model.prepare_for_inference():
        last = _write(made, batches, exit_mode="last")
        for threshold in tqdm(thresholds, desc="exit threshold", disable=made.config["disable_tqdm"] or None):
            early = _write(made, batches, exit_mode="hard", exit_threshold=threshold)
            agreement = sum(map(agree, early, last)) / len(last)
            found = Calibration(criterion, threshold, target, agreement, *bounds(agreement, len(last)), len(last))
            if chosen is not None and found.at_least < target:
                break
            chosen = found
    assert chosen is not None
    model.config.exit_threshold = chosen.threshold
    logger.info(
        "Exit threshold %g (%s): on %d validation texts %.2f%% of a text's tokens are the last exit's; with %.0f%% "
        "confidence at least %.2f%%, at most %.2f%%.",
        *(chosen.threshold, criterion, chosen.texts, 100 * chosen.agreement),
        *(100 * CONFIDENCE, 100 * chosen.at_least, 100 * chosen.at_most),
    )
    if chosen.threshold == thresholds[0]:
        logger.warning(
            "No token leaves early, for no threshold shows an agreement of %g: ask for less, or give more valid texts.",
            target,
        )
    return asdict(chosen)


def agree(early: list[int], last: list[int]) -> float:
    """Return the share of two texts' tokens that are the same at the same place; what only one has is not."""
    same = sum(a == b for a, b in zip(early, last, strict=False))
    return same / max(len(early), len(last), 1)


def bounds(mean: float, count: int) -> tuple[float, float]:
    """Return below and above what the expectation of numbers from 0 to 1 is not, each with `CONFIDENCE`.

    By Chernoff's bound in Hoeffding's form, which holds for all independent such numbers: a mean m of n is exceeded or
    fallen short of with a probability of at most exp(-n KL(m, p)).

    Args:
        mean: theirs.
        count: how many there are.
    """
    surprise = -math.log(1 - CONFIDENCE) / count

    def farthest(end: float) -> float:
        near, far = mean, end
        for _ in range(50):
            middle = (near + far) / 2
            near, far = (middle, far) if _divergence(mean, middle) <= surprise else (near, middle)
        return near

    return farthest(0.0), farthest(1.0)


def _divergence(mean: float, expected: float) -> float:
    """Return the Kullback-Leibler divergence of two coins in nats."""
    total = 0.0
    for ours, theirs in ((mean, expected), (1 - mean, 1 - expected)):
        if ours > 0:
            total += ours * math.log(ours / theirs) if theirs > 0 else math.inf
    return total


def _batches(made: TrainedModel, split: Dataset, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(split), size):
        yield made.sources(split, range(start, min(start + size, len(split))))


def _write(made: TrainedModel, batches: list[tuple[Tensor, Tensor]], **exits: Any) -> list[list[int]]:
    """Return the texts' ids without padding."""
    generate: Any = made.elmer.generate
    padding = made.model.config.pad_token_id
    options = {"max_length": made.config["tgt_len"], **(made.config["generation_kwargs"] or {}), **exits}
    written = (row for sources, mask in batches for row in generate(sources, mask, **options).tolist())
    return [[token for token in row if token != padding] for row in written]
