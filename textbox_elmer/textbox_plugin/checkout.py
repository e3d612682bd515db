"""Finding the user's TextBox checkout, and saying in one sentence what a folder lacks to be one.

Files are parsed and never run here, so that a moved name is found before any of their code has done half of its work.
"""

import ast
import os
import warnings
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from textbox_elmer.errors import UserError

CLONE = "git clone https://github.com/RUCAIBox/TextBox"
VARIABLE = "TEXTBOX_HOME"

# Whatever of TextBox 2.0 is called, replaced or built upon here. A dot leads into a class.
NEEDED: Mapping[str, tuple[str, ...]] = {
    "textbox/__init__.py": ("PLM_MODELS", "run_textbox"),
    "textbox/config/configurator.py": (
        "Config",
        "Config.__init__",
        "Config._load_internal_config_dict",
        "Config._update_internal_config_dict",
    ),
    "textbox/data/abstract_dataset.py": ("AbstractDataset", "AbstractDataset.__getitem__"),
    "textbox/data/misc.py": ("load_data",),
    "textbox/data/utils.py": ("collate_options", "data_preparation"),
    "textbox/evaluator/base_evaluator.py": ("BaseEvaluator", "evaluator_list"),
    "textbox/model/abstract_model.py": ("AbstractModel", "AbstractModel.generate_setting"),
    "textbox/quick_start/experiment.py": ("Experiment", "get_tokenizer", "os"),
    "textbox/quick_start/quick_start.py": ("run_textbox",),
    "textbox/trainer/trainer.py": (
        "Trainer",
        "Trainer._train_epoch",
        "Trainer.best_valid_result",
        "Trainer.evaluate",
        "Trainer.fit",
        "Trainer.resume_checkpoint",
    ),
    "textbox/utils/dashboard.py": ("SummaryTracker", "SummaryTracker.new_experiment", "Timestamp", "EpochTracker"),
    "textbox/utils/utils.py": ("get_model", "get_tokenizer", "get_trainer"),
}
EVERYTHING = "*"  # of another file, which shows only when it is imported
PROPERTIES = "textbox/properties/overall.yaml"


def find_checkout(textbox_home: str | os.PathLike[str] | None = None) -> Path:
    """Return the checkout's absolute path, checked.

    Args:
        textbox_home: its folder. None: the one whose `textbox` this process would import, else the working directory,
            else the one that the variable TEXTBOX_HOME names.

    Raises:
        UserError: there is none, or it is none of TextBox 2.0; says what was looked for and where.
    """
    if textbox_home is not None:
        home = Path(textbox_home).expanduser().absolute()
        check_checkout(home)
        return home
    spec = find_spec("textbox")
    if spec is not None and spec.origin is not None:
        return find_checkout(Path(spec.origin).parents[1])
    if (Path.cwd() / "textbox").is_dir() or not os.environ.get(VARIABLE):
        return find_checkout(Path.cwd())
    return find_checkout(os.environ[VARIABLE])


def check_checkout(home: Path) -> None:
    """Raise a UserError, in one sentence, if a folder is no TextBox 2.0 checkout with all that is needed of it."""
    wanted = f"give --textbox_home (or {VARIABLE}) the folder that `{CLONE}` makes"
    if not home.exists():
        raise UserError(f"There is no TextBox checkout at {str(home)!r}, which does not exist: {wanted}.")
    if not home.is_dir():
        raise UserError(f"There is no TextBox checkout at {str(home)!r}, which is a file: {wanted}.")
    missing = [name for name in (*NEEDED, PROPERTIES) if not (home / name).is_file()]
    if "textbox/__init__.py" in missing:
        raise UserError(
            f"{str(home)!r} is no TextBox checkout: 'textbox/__init__.py' was looked for there and is missing; "
            f"{wanted}."
        )
    if missing and (home / "textbox" / "module").is_dir():  # a folder of all releases before 2.0 and of none since
        raise UserError(
            f"{str(home)!r} is a TextBox 0.x, whose interface is another one: {missing[0]!r}, which TextBox 2.0 has, "
            "was looked for there and is missing; check out its branch 2.0.0."
        )
    if missing:
        raise UserError(
            f"{str(home)!r} is no complete checkout of TextBox 2.0: {missing[0]!r} was looked for there and is "
            f"missing; restore it, e.g. with `git checkout -- {missing[0]}`."
        )
    for file, names in NEEDED.items():
        _check_names(home, file, names)


def _check_names(home: Path, file: str, names: tuple[str, ...]) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # their texts hold "\\-", say, of which Python would complain
            found = set(_names(ast.parse((home / file).read_bytes()).body))
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}," if isinstance(error, SyntaxError) and error.lineno else ""
        raise UserError(
            f"The TextBox checkout {str(home)!r} cannot be used: {file!r}{line} is no valid Python; correct or restore "
            "it."
        ) from None
    except OSError as error:
        raise UserError(
            f"The TextBox checkout {str(home)!r} cannot be used: {file!r} cannot be read ({error.strerror})."
        ) from None
    for name in names:
        if name not in found and EVERYTHING not in found:
            raise UserError(
                f"The TextBox checkout {str(home)!r} cannot be used: {name!r} was looked for in {file!r} and is not "
                f"there; put it back, e.g. with `git checkout -- {file}`."
            )


def _names(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Yield the names that statements bind: definitions, assignments, imports, also inside `if` and `try`."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + statement.name
            if isinstance(statement, ast.ClassDef):
                yield from _names(statement.body, f"{prefix}{statement.name}.")
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            yield from (prefix + (alias.asname or alias.name.partition(".")[0]) for alias in statement.names)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = [node for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
            yield from (prefix + node.id for node in names)
        else:
            for block in ("body", "orelse", "finalbody"):
                yield from _names(getattr(statement, block, None) or [], prefix)
