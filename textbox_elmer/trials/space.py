"""TextBox's format of a search space: a line `<option> <method> <values>` for each option that is searched."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textbox_elmer.errors import UserError
from textbox_elmer.reading import MOST_YAML, read_text
from textbox_elmer.suggest import nearest
from textbox_elmer.terminal import reason_of

# Numbers that each method takes; choice takes any list.
METHODS = {"choice": None, "uniform": 2, "quniform": 3, "loguniform": 2}
LARGEST = 2.0**63  # of numbers
LARGEST_EXPONENT = 43  # whose power of e is below that
MOST_STEPS = 1_000_000
SHOWN = 200  # characters of a line
FORM = "<option> <method> <values>, e.g. learning_rate choice [1e-4, 3e-4]"


@dataclass(frozen=True)
class Dimension:
    """One option's values.

    Attributes:
        name: the option.
        method: "choice", or hyperopt's "uniform", "quniform" (multiples of the third number), "loguniform" (e to the
            power of what is uniform).
        values: the choices, or the lowest and the highest number, and the step.
    """

    name: str
    method: str
    values: tuple[Any, ...]

    def draw(self, trial: Any) -> Any:
        """Let one of optuna's trials suggest a value."""
        if self.method == "choice":
            # By place: optuna keeps choices of plain types alone.
            return self.values[trial.suggest_categorical(self.name, list(range(len(self.values))))]
        low, high = self.values[:2]
        if self.method == "loguniform":
            return math.exp(trial.suggest_float(self.name, low, high))
        drawn = trial.suggest_float(self.name, low, high)
        return drawn if self.method == "uniform" else self._rounded(drawn)

    def to_check(self) -> list[Any]:
        """Return the values that tell whether all can be given: every choice, or the lowest and the highest number."""
        if self.method == "choice":
            return list(self.values)
        settle = {"loguniform": math.exp, "quniform": self._rounded}.get(self.method, float)
        return [settle(value) for value in self.values[:2]]

    def _rounded(self, drawn: float) -> int | float:
        step = self.values[2]
        rounded = round(drawn / step) * step
        return int(rounded) if all(isinstance(value, int) for value in self.values) else rounded


def read_space(path: Path) -> list[Dimension]:
    """Read a file; blank lines and those that begin with # are skipped. Values are literals and never evaluated.

    Raises:
        UserError: it cannot be read, or a line is none of the format, with its number.
    """
    try:
        lines = read_text(path, MOST_YAML).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The search space {str(path)!r} cannot be read ({reason_of(error)}): check --space."
        ) from error
    found: dict[str, Dimension] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{str(path)!r}, line {number}"
        dimension = _read_line(line, where)
        if dimension.name in found:
            raise UserError(f"{where}: {dimension.name} is searched twice: leave one of the lines out.")
        found[dimension.name] = dimension
    if not found:
        raise UserError(f"The search space {str(path)!r} is empty: write lines {FORM}.")
    return list(found.values())


def _read_line(line: str, where: str) -> Dimension:
    words = line.split(None, 2)
    if len(words) < 3:
        raise UserError(f"{where}, is no {FORM}.")
    name, method, text = words
    if method not in METHODS:
        guess = nearest(method, METHODS)
        hint = f"did you mean {guess}?" if guess else f"there are {', '.join(METHODS)}."
        raise UserError(f"{where}: there is no method {method!r}: {hint}")
    try:
        values = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise UserError(f"{where}: {text.strip()!r} is no list of plain values, such as [1, 2].") from None
    if not isinstance(values, list | tuple) or not values:
        raise UserError(f"{where}: {text.strip()!r} is no list of plain values, such as [1, 2].")
    if not all(map(_is_plain, values)):
        raise UserError(f"{where}: {text.strip()[:SHOWN]!r} holds more than plain values, such as [1, 2].")
    if METHODS[method] is not None:
        _check_numbers(method, values, where)
    return Dimension(name, method, tuple(values))


def _check_numbers(method: str, values: Any, where: str) -> None:
    wanted = METHODS[method]
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if len(values) != wanted or not are_numbers or not values[0] < values[1] or (wanted == 3 and values[2] <= 0):
        step = ", step" if wanted == 3 else ""
        raise UserError(f"{where}: {method} takes [lowest, highest{step}], not {list(values)!r}.")
    if method == "loguniform" and values[1] > LARGEST_EXPONENT:
        raise UserError(f"{where}: loguniform takes exponents of e, up to {LARGEST_EXPONENT}, not {values[1]!r}.")
    if wanted == 3 and (values[1] - values[0]) / values[2] > MOST_STEPS:
        raise UserError(f"{where}: {list(values)!r} has more than {MOST_STEPS:,} steps: give a larger one.")


def _is_plain(value: Any) -> bool:
    """Tell whether a value is what YAML has a plain form for, and a number one that can be reckoned with."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(inner) for key, inner in value.items())
    if isinstance(value, int | float):
        return abs(value) < LARGEST
    return value is None or isinstance(value, str)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return drawn values short enough to be read: floats with six digits."""
    return {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in values.items()}
