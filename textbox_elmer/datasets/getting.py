"""Getting a dataset that TextBox has published: `data get`."""

from pathlib import Path

from textbox_elmer.datasets.download import download, look_up, part_of
from textbox_elmer.datasets.folder.counting import count_examples, describe_counts
from textbox_elmer.datasets.folder.new import new_folder, refuse_existing
from textbox_elmer.datasets.unpack import unpack
from textbox_elmer.errors import UserError
from textbox_elmer.files import held, put
from textbox_elmer.runtime.catalogue.datasets import published_dataset


def get_dataset(name: str, data_path: Path, max_gb: float) -> str:
    """Download and unpack a dataset into `data_path/name`, which appears when it is complete.

    Args:
        name: one of TextBox's names.
        data_path: where datasets lie.
        max_gb: most gigabytes (10^9 bytes) of the archive, and of what it unpacks to.

    Returns:
        what there is now, for the user.

    Raises:
        UserError: unknown, here already, out of reach, too large, damaged or hostile, or not to be written.
    """
    known = published_dataset(name)
    folder, limit = data_path / name, int(max_gb * 1e9)
    refuse_existing(folder)
    published = look_up(known.repository, known.archive)
    if published.size > limit:
        raise UserError(
            f"{published.name} has {published.size / 1e9:.3g} GB, more than {max_gb:g}: give a larger --max_gb."
        )
    with new_folder(folder) as staging, held(part_of(published, data_path), "get another dataset meanwhile"):
        refuse_existing(folder)
        archive = download(published, data_path)
        try:
            unpacked = unpack(archive, staging, limit)
        except UserError as error:
            archive.unlink()
            raise UserError(f"{published.name} of {known.repository} was not unpacked. {error}") from None
        if known.reversed:
            _swap_sides(unpacked)
        put(unpacked, folder)
        archive.unlink()
    counts = count_examples(folder)
    report = f"{folder}: {describe_counts(counts)} examples from {known.repository}."
    return report if counts["test"] is not None else f"{report} It has no test split: run with --do_test=False."


def _swap_sides(folder: Path) -> None:
    for source in list(folder.glob("*.src")):
        target = source.with_suffix(".tgt")
        aside = source.with_suffix(".aside")
        source.rename(aside)
        target.rename(source)
        aside.rename(target)
