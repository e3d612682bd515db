"""Paired bootstrap: whether two systems' scores differ by more than the choice of test examples explains.

Koehn (2004) as sacrebleu does it: the examples are drawn again, with replacement, alike for all systems, and p is the
share of draws whose difference exceeds the mean of all drawn differences by more than the real difference.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from textbox_elmer.metrics import Corpus, score

SEED = 12345


def drawn_scores(corpora: Sequence[Corpus], config: Mapping[str, Any], resamples: int) -> dict[str, np.ndarray]:
    """Score a system, on all examples and on every draw of them.

    Args:
        corpora: the system's texts, one corpus for each of its seeds.
        config: what to score by, as for `score`.

    Returns:
        for each score that is a number, `[seeds, 1 + resamples]`: that of all examples first.
    """
    size = len(corpora[0].generated)
    draws = [np.arange(size), *np.random.default_rng(SEED).integers(size, size=(resamples, size))]
    found: dict[str, list[np.ndarray]] = {}
    for metric in config["metrics"]:
        for corpus in corpora:
            for name, values in _over_draws(corpus, dict(config) | {"metrics": [metric]}, draws).items():
                found.setdefault(name, []).append(values)
    return {name: np.stack(of_seeds) for name, of_seeds in found.items()}


def _over_draws(corpus: Corpus, config: Mapping[str, Any], draws: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    scores = {name: value for name, value in score(corpus, config).items() if not isinstance(value, str)}
    if all(isinstance(value, list) for value in scores.values()):  # a mean over texts: no need to score them again
        columns = {name: np.asarray(value) for name, value in scores.items()}
        return {name: np.array([values[draw].mean() for draw in draws]) for name, values in columns.items()}
    again = [score(_part(corpus, draw), config) for draw in tqdm(draws, desc="bootstrap", disable=None)]
    return {name: np.array([np.asarray(drawn[name]).mean() for drawn in again]) for name in scores}


def p_value(baseline: np.ndarray, system: np.ndarray) -> float:
    """Return the paired bootstrap's p-value for two systems' scores `[seeds, 1 + resamples]`, means over seeds."""
    real, *drawn = np.abs(system.mean(0) - baseline.mean(0))
    if not any(drawn):  # two systems that score alike on every draw differ in nothing
        return 1.0
    return float((np.sum(drawn - np.mean(drawn) > real) + 1) / (len(drawn) + 1))


def _part(corpus: Corpus, examples: np.ndarray) -> Corpus:
    # The same texts again, which remember their tokens.
    return Corpus([corpus.generated[i] for i in examples], [corpus.references[i] for i in examples])
