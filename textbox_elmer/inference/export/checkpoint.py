"""The checkpoint that is exported: an ELMER whose exits are the same for every text."""

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from textbox_elmer.errors import UserError
from textbox_elmer.model import ElmerForConditionalGeneration
from textbox_elmer.reading import read_json
from textbox_elmer.runtime.catalogue.models import find_model
from textbox_elmer.runtime.data import load_tokenizer
from textbox_elmer.runtime.models.building import load_pretrained

STATIC_MODES = ("soft", "last")


def load_checkpoint(
    folder: Path, exit_mode: str | None, tokenizer_path: str | None
) -> tuple[ElmerForConditionalGeneration, PreTrainedTokenizerBase]:
    """Load the ELMER and the tokenizer of a checkpoint's folder, for evaluation.

    Args:
        exit_mode: "soft" or "last", by default the checkpoint's own.
        tokenizer_path: where the tokenizer lies, by default in the same folder.

    Raises:
        UserError: no checkpoint, a damaged one, one of another kind of model or of hard exit, a tokenizer that is
            missing or not the model's.
    """
    kind = _model_type(folder)
    if kind == "bart" and exit_mode is None:
        raise UserError(
            f"{str(folder)!r} is a BART checkpoint, which writes token by token unless it was trained as an ELMER: "
            f"train one from it (--model=ELMER --model_path={folder}), or, if it is one, say how it exits by "
            "--exit_mode=soft or --exit_mode=last."
        )
    if kind not in ("elmer", "bart"):
        raise UserError(f"--model_path={str(folder)!r} holds a model of type {kind!r}: only ELMER is exported.")
    fields = {} if exit_mode is None else {"exit_mode": exit_mode}
    model = load_pretrained(find_model("ELMER"), str(folder), str(folder), fields).eval()
    if model.config.exit_mode not in STATIC_MODES:
        raise UserError(
            f"{str(folder)!r} leaves by hard exit, whose work depends on the text and fits no static graph: "
            "give --exit_mode=last or --exit_mode=soft."
        )
    tokenizer = load_tokenizer(tokenizer_path or str(folder))
    if len(tokenizer) > model.config.vocab_size:
        raise UserError(
            f"The tokenizer has {len(tokenizer)} tokens, the checkpoint {str(folder)!r} {model.config.vocab_size}: "
            "give the checkpoint's own by --tokenizer_path."
        )
    return model, tokenizer


def _model_type(folder: Path) -> str:
    path = folder / "config.json"
    try:
        return read_json(path)["model_type"]
    except OSError as error:
        raise UserError(
            f"--model_path={str(folder)!r} is no folder with a checkpoint ({path.name}: {error.strerror}): "
            "give one such as saved/<run>/checkpoint_best."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{str(path)!r} is damaged or no model's configuration: give another --model_path.") from error
