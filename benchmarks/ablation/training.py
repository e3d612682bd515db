"""A plain training loop, whose steps are all that it times."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm
from transformers import PreTrainedModel

from textbox_elmer.errors import UserError

WARM_UP, GRADIENT_NORM, WEIGHT_DECAY = 200, 1.0, 0.01
GLANCING, GLANCING_END = 0.5, 0.1


def train(
    model: PreTrainedModel,
    batches: Iterator[dict[str, Any]],
    steps: int,
    learning_rate: float,
    glances: bool,
    name: str,
) -> tuple[float, float]:
    """Train by AdamW: the rate rises for 200 steps and falls to 0 in a line; glancing falls from 0.5 to 0.1.

    Args:
        batches: the arguments of `model.forward`, a dictionary a step.
        glances: whether `glancing` is one of them.
        name: the row's, for the bar.

    Returns:
        the median seconds of a step and the seconds of all.

    Raises:
        UserError: the loss is no longer finite.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY)
    falling = max(steps - WARM_UP, 1)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / WARM_UP, max(steps - step, 0) / falling)
    )
    model.train()
    seconds = []
    with tqdm(range(steps), desc=f"{name}: training", disable=None) as bar:
        for step in bar:
            batch = next(batches)
            if glances:
                batch["glancing"] = GLANCING + (GLANCING_END - GLANCING) * step / steps
            start = time.perf_counter()
            loss = model(**batch).loss
            if not loss.isfinite():
                raise UserError(f"The training of row {name} diverged at step {step}: give less --learning_rate.")
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(model.parameters(), GRADIENT_NORM)
            optimizer.step()
            rate.step()
            seconds.append(time.perf_counter() - start)
            bar.set_postfix(loss=f"{loss.item():.2f}", refresh=False)
    model.eval()
    return statistics.median(seconds), sum(seconds)


def shuffled(count: int, size: int, seed: int) -> Iterator[list[int]]:
    """Yield batches of `size` of `count` examples for ever, all of them once before any comes again."""
    drawn = torch.Generator().manual_seed(seed)
    size = min(size, count)
    while True:
        order = torch.randperm(count, generator=drawn).tolist()
        yield from (order[start : start + size] for start in range(0, count - size + 1, size))
