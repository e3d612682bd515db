"""The schedules against their definitions, step by step."""

import math

import pytest
import torch

from textbox_elmer.errors import UserError
from textbox_elmer.runtime.training.schedule import build_schedule, check_schedule

RATE, STEPS, WARMUP = 0.01, 50, 10


def rates(name: str | None, **kwargs: float) -> list[float]:
    """The rates that the optimizer's steps 1, 2, … see."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=RATE)
    schedule = build_schedule(optimizer, name, kwargs, RATE, STEPS)
    seen = []
    for _ in range(STEPS):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


@pytest.mark.parametrize(
    ("name", "after_warmup"),
    [
        ("linear", lambda step: 0.02 - (0.02 - 0.001) * (step - WARMUP) / (STEPS - WARMUP)),
        ("cosine", lambda step: 0.001 + 0.0095 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP)))),
        ("inverse", lambda step: 0.02 * WARMUP**0.5 / step**0.5),
        ("constant", lambda step: 0.02),
    ],
)
def test_warmup_then_fall(name: str, after_warmup: object) -> None:
    seen = rates(name, init_lr=0.001, max_lr=0.02, n_warmup_steps=WARMUP)
    expected = [0.001 + (0.02 - 0.001) / WARMUP * step for step in range(1, WARMUP)]
    expected += [after_warmup(step) for step in range(WARMUP, STEPS + 1)]
    assert seen == pytest.approx(expected)


def test_defaults() -> None:
    assert rates(None) == [RATE] * STEPS
    assert rates("constant") == [pytest.approx(RATE)] * STEPS
    linear = rates("linear")
    assert linear[0] == pytest.approx(RATE * (1 - 1 / STEPS))
    assert linear[-1] == pytest.approx(0)
    assert rates("linear", max_steps=20)[20:] == pytest.approx([0] * (STEPS - 20))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"warmup_ratio": 0.1}, "no entry 'warmup_ratio'"),
        ({"n_warmup_steps": "many"}, "n_warmup_steps must be a number"),
    ],
)
def test_senseless_arguments_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_schedule(kwargs)
