"""Which datasets TextBox 2.0 names, and where on the hub each is published.

TextBox speaks of 83 datasets: so many archives lie in the dataset repositories of RUCAIBox. Its list has 85 lines, for
two datasets (cos and mutual) were never published. It gives question answering and question generation the same five
names; here, as on the hub, the latter end in `qg`. Both tasks publish a `msqg`: the one that answers is `msqa` here.
TextBox also has settings for seven translations the other way round, whose texts are those of the published direction.
"""

from dataclasses import dataclass

from textbox_elmer.errors import UserError
from textbox_elmer.suggest import nearest

OWNER = "RUCAIBox"
# Not of TextBox: `data apidoc` makes both out of an installed package.
APIDOC, APIDOC_PROSE = "apidoc", "apidoc-prose"
MADE_HERE = (APIDOC, APIDOC_PROSE)


@dataclass(frozen=True)
class KnownDataset:
    """A dataset that TextBox names.

    Attributes:
        name: what `--dataset` calls it.
        task: TextBox's heading for it.
        repository: the hub's dataset repository, owner/name.
        archive: the file there that holds it, "" where it was never published.
        reversed: whether the archive's sources are this dataset's targets, and the other way round.
    """

    name: str
    task: str
    repository: str
    archive: str
    reversed: bool = False


# task, repository, names
_PUBLISHED = (
    ("Text summarization", "Summarization", "cnndm xsum samsum wle nr wikihow msn mediasum eg"),
    (
        "Machine translation",
        "Translation",
        "wmt14-fr-en wmt16-ro-en wmt16-de-en wmt19-cs-en wmt13-es-en wmt19-zh-en wmt19-ru-en "
        "wmt14-en-fr wmt16-en-ro wmt16-en-de wmt19-en-cs wmt13-en-es wmt19-en-zh wmt19-en-ru",
    ),
    ("Open-ended dialogue system", "Open-Dialogue", "pc dd da sgd tc wow md cos ed curio cmudog mutual odkg dream"),
    (
        "Data-to-text generation",
        "Data-to-text-Generation",
        "webnlg webnlg2 wikibio e2e dart totto ent agenda genwiki tekgen logicnlg wikit wg",
    ),
    ("Question generation", "Question-Generation", "squadqg coqaqg newsqaqg hotpotqaqg marcoqg msqg nqaqg quacqg"),
    ("Story generation", "Story-Generation", "roc wp hc wikip cmv"),
    ("Question answering", "Question-Answering", "squad coqa nq tqa webq nqa marco newsqa hotpotqa msqa quac"),
    (
        "Task-oriented dialogue system",
        "Task-Dialogue",
        "multiwoz metalwoz kvret woz camres676 frames taskmaster schema e2e_msr",
    ),
    ("Chinese generation", "Chinese-Generation", "lcsts csl adgen"),
    ("Commonsense generation", "Commonsense-Generation", "cg"),
    ("Paraphrase generation", "Paraphrase", "quora paranmt"),
    ("Text style transfer", "Style-Transfer", "gyafc_em gyafc_fr"),
    ("Text simplification", "Simplification", "wia"),
)
_UNPUBLISHED = ("cos", "mutual")
_OTHER_ARCHIVES = {"msqa": "msqg"}
# TextBox's list spells these otherwise than its settings and the hub do.
_ALIASES = {"gyafc-em": "gyafc_em", "gyafc-fr": "gyafc_fr", "wia-t": "wia"}


def _known(name: str, task: str, repository: str) -> KnownDataset:
    archive, turned = _OTHER_ARCHIVES.get(name, name), False
    if name.startswith("wmt") and not name.endswith("-en"):
        year, source, target = name.split("-")
        archive, turned = f"{year}-{target}-{source}", True
    published = "" if name in _UNPUBLISHED else f"{archive}.tgz"
    return KnownDataset(name, task, f"{OWNER}/{repository}", published, turned)


DATASETS: dict[str, KnownDataset] = {
    name: _known(name, task, repository) for task, repository, names in _PUBLISHED for name in names.split()
}


def known_dataset(name: str) -> KnownDataset | None:
    """Return what is known of a dataset, by either of TextBox's spellings, or None."""
    return DATASETS.get(_ALIASES.get(name, name))


def published_dataset(name: str) -> KnownDataset:
    """Return a dataset that can be downloaded.

    Raises:
        UserError: TextBox names none so, or has never published it.
    """
    known = known_dataset(name)
    if known is None:
        guess = nearest(name, DATASETS)
        hint = f"Did you mean {guess!r}?" if guess else "`python -m textbox_elmer data list` shows them all."
        raise UserError(f"TextBox publishes no dataset {name!r}. {hint}")
    if not known.archive:
        raise UserError(
            f"TextBox names the dataset {name!r} but has never published it: put its six files into dataset/{name}, "
            f"or make it out of a table with `python -m textbox_elmer data import`."
        )
    return known
