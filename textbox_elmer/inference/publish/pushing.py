"""Showing what would go to the hub, and sending it there by the hub's own client."""

from pathlib import Path

from huggingface_hub import HfApi, ModelCard, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id
from yaml import YAMLError

from textbox_elmer import __version__
from textbox_elmer.errors import UserError
from textbox_elmer.hub import hub_endpoint
from textbox_elmer.inference.publish.files import find_files
from textbox_elmer.runtime.runs.card import CARD, NO_LICENCE
from textbox_elmer.terminal import reason_of, say

CARD_LINES = 12
UNIT = 1000  # sizes are shown as the hub shows them


def push(model_path: str, repo: str, private: bool = False, really: bool = False) -> None:
    """Show which files of a model would go to the hub, and send them if `really`.

    The upload is one commit: a kill leaves the repository as it was, and the same call goes on with the large files.

    Args:
        model_path: a run's folder, or a checkpoint's.
        repo: `owner/name`; made if it is not there.
        private: whether one that is made is visible to its owner alone.

    Raises:
        UserError: no model is there, the name is none, the card is no such, there is no token, or the hub does not
            answer or refuses.
    """
    _check_name(repo)
    files = find_files(model_path)
    licence = _licence(files)
    say(f"{repo}, {'private' if private else 'public'}, at {hub_endpoint()}:")
    for file in files:
        say(f"  {_size(file):>10}  {file.name}")
    say(f"  {_size(*files):>10}  in all")
    if licence is None:
        say(f"There is no {CARD}, so the hub will show no model card.")
    else:
        _show_card(files[0].parent / CARD)
    if licence == NO_LICENCE:
        say(f"The licence is not filled in: edit `license` in {str(files[0].parent / CARD)!r}.")
    if really:
        say(f"Uploaded: {_upload(files, repo, private)}")
    else:
        say("Nothing is sent yet: the same command with --yes sends it.")


def _check_name(repo: str) -> None:
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UserError(f"{repo!r} is no name of a repository ({reason_of(error)}): give --repo=OWNER/NAME.") from None
    if repo.count("/") != 1:
        raise UserError(f"{repo!r} does not say whose the repository is: give --repo=OWNER/NAME.")


def _licence(files: list[Path]) -> str | None:
    """Return what the card says of the licence; None without a card."""
    card = files[0].parent / CARD
    if card not in files:
        return None
    try:
        return ModelCard.load(card).data.license or NO_LICENCE
    except (ValueError, OSError, YAMLError) as error:
        raise UserError(f"{str(card)!r} is no model card ({reason_of(error)}): mend or delete it.") from None


def _show_card(card: Path) -> None:
    lines = card.read_text(encoding="utf-8").splitlines()
    say(f"{CARD} begins:")
    for line in lines[:CARD_LINES]:
        say(f"  | {line}")


def _size(*files: Path) -> str:
    size, unit = float(sum(file.stat().st_size for file in files)), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if size < UNIT or unit == "GB":
            break
        size /= UNIT
    return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"


def _upload(files: list[Path], repo: str, private: bool) -> str:
    """Send the files and return the repository's address."""
    if get_token() is None:
        raise UserError("There is no token for the hub: run `hf auth login`, or set HF_TOKEN.")
    hub = HfApi(endpoint=hub_endpoint(), library_name="textbox-elmer", library_version=__version__)
    try:
        made = hub.create_repo(repo, private=private or None, exist_ok=True)
        hub.upload_folder(
            repo_id=repo,
            folder_path=files[0].parent,
            allow_patterns=[file.name for file in files],
            commit_message=f"Upload by textbox-elmer {__version__}",
        )
    except (HfHubHTTPError, OfflineModeIsEnabled, ValueError, RuntimeError) as error:
        raise UserError(f"The hub has refused {repo!r} ({reason_of(error)}): mend that and repeat.") from None
    except (HTTPError, OSError) as error:
        raise UserError(f"The hub at {hub_endpoint()} does not answer ({reason_of(error)}): repeat later.") from None
    return str(made)
