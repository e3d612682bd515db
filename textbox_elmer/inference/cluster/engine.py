"""Ray Data at work: it reads parquet files, has the workers answer their rows, and writes what they return."""

import logging
import os
import re
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import compute, dataset

from textbox_elmer.errors import UserError
from textbox_elmer.files import held, remove, writing
from textbox_elmer.inference.cluster.job import CUT, ROW_HASH
from textbox_elmer.inference.cluster.worker import Worker
from textbox_elmer.inference.generate import ELSEWHERE, Report, identity_of
from textbox_elmer.inference.job import Job, refuse_existing
from textbox_elmer.inference.parts import IDENTITY, Parts
from textbox_elmer.inference.tables.rows import ERROR, ROWS
from textbox_elmer.inference.writer import TextWriter
from textbox_elmer.runtime.config import Config
from textbox_elmer.terminal import reason_of
from textbox_elmer.unfinished import begin_or_continue

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody who was not asked for
try:
    import ray
    from ray.data import ActorPoolStrategy, DataContext
    from ray.data.checkpoint import CheckpointConfig
    from ray.exceptions import RayError, RayTaskError
except ImportError:
    raise UserError('--engine=ray needs the package ray: pip install "textbox-elmer[ray]".') from None

# CPUs that no worker gets: reading, writing, and leaving out what is done already need them to go on at all.
SPARED = 2
# What a kill costs: rows are done when the file that they are in is written.
WINDOWS_PER_FILE = 8
FOLDERS = ("model_path", "tokenizer_path", "config_path")
MADE, DONE = "made", "done"
HERE = "local"
ANSWERS_IN = 10  # seconds
# How many processes read the footers of parquet files: by default 32, however small the cluster.
READERS = "RAY_DATA_PARQUET_FOOTER_NUM_ACTORS"
# A worker's own sentence, of which Ray keeps the text alone.
SENTENCE = re.compile(rf"^{re.escape(UserError.__module__)}\.{UserError.__name__}: (.+)$", re.MULTILINE)


def generate_on_cluster(job: Job, writer: TextWriter, config: Config, address: str | None) -> Report:
    """Answer a job's rows into a folder of parquet files, or go on with what was begun there.

    The folder appears when it is complete. Its rows are in no order.

    Args:
        job: what `open_cluster_job` returned.
        writer: the model as the workers have it.
        config: what they load it by.
        address: where the cluster is, as `ray.init` takes it; by default RAY_ADDRESS, or a cluster of this machine
            that lives as long as the call. A process that is connected already stays so.

    Raises:
        UserError: no cluster is there or it is too small or fails, the output is there or another process works on it,
            something else was begun there, a file cannot be read or written, or the model cannot write.
    """
    output = job.output
    assert output is not None
    parts = Parts(output)
    with writing(output, ELSEWHERE), held(output, ELSEWHERE):
        refuse_existing(output)
        begin_or_continue(parts.folder, IDENTITY, {"engine": "ray", **identity_of(job, writer)})
        made = parts.folder / MADE
        made.mkdir(exist_ok=True)
        with connected(address), _sentences():
            _answer_all(job, writer, config, parts.folder)
        report = _counted(made)
        refuse_existing(output)
        made.rename(output)
        remove(parts.folder)
    return report


def _answer_all(job: Job, writer: TextWriter, config: Config, folder: Path) -> None:
    gpus = int(ray.cluster_resources().get("GPU", 0)) if config["use_gpu"] else 0
    workers = gpus or int(ray.cluster_resources().get("CPU", 0)) - SPARED
    if workers < 1:
        raise UserError(f"The cluster has no GPU and less than {SPARED + 1} CPUs, too few to write on: add machines.")
    context = DataContext.get_current().copy()
    context.enable_progress_bars = sys.stderr.isatty()
    # Deleted with the folder: without it, a process killed here would write everything once more.
    context.checkpoint_config = CheckpointConfig(ROW_HASH, str(folder / DONE), delete_checkpoint_on_success=False)
    with DataContext.current(context):
        rows = ray.data.read_parquet(
            [str(source.path) for source in job.sources], partitioning=None, include_row_hash=True
        )
        answered = rows.repartition(target_num_rows_per_block=ROWS).map_batches(
            Worker,
            fn_constructor_args=(_seen_everywhere(config), job.column, job.new, writer.batch_size, writer.strict),
            compute=ActorPoolStrategy(size=workers),
            num_gpus=1 if gpus else None,
            num_cpus=None if gpus else 1,
            batch_size=ROWS,
            batch_format="pyarrow",
            udf_modifying_row_count=False,
        )
        answered.write_parquet(str(folder / MADE), min_rows_per_file=WINDOWS_PER_FILE * ROWS)


def _seen_everywhere(config: Config) -> Config:
    """Return a configuration whose folders have absolute paths, for workers have other working folders."""
    folders = {key: config[key] for key in FOLDERS if config[key] is not None and os.path.isdir(config[key])}
    return Config({**config, **{key: os.path.abspath(folder) for key, folder in folders.items()}})


def _counted(made: Path) -> Report:
    report = Report()
    for batch in dataset.dataset(made, format="parquet").to_batches(columns=[ERROR, CUT]):
        report.rows += len(batch)
        report.failed += len(batch) - batch.column(ERROR).null_count
        report.cut += compute.sum(compute.greater(batch.column(CUT), 0)).as_py() or 0
    return report


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Stay connected to a cluster within the block, as `generate_on_cluster` describes it.

    Raises:
        UserError: none is there.
    """
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or HERE
    sizes: dict[str, Any] = {}
    if address == HERE:
        # A worker for each of this machine's cores, which take turns with what little reading and writing there is.
        sizes = {"num_cpus": (os.cpu_count() or 1) + SPARED, "runtime_env": {"env_vars": {READERS: "1"}}}
    try:
        _knock(address)
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **sizes)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"No Ray cluster answers at {address!r} ({reason_of(error)}): check --ray_address.") from None
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise an OSError if nobody listens at an address with a port: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=ANSWERS_IN).close()


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn what a cluster may fail by into a sentence, and keep Ray's own reports to its log files."""
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, (pyarrow.ArrowException, OSError)):
            raise UserError(f"A worker cannot read or write ({reason_of(cause)}): mend that and repeat.") from None
        if told := SENTENCE.search(str(error)):
            raise UserError(told[1]) from None
        if isinstance(error, RayTaskError):
            raise
        raise UserError(f"The cluster has failed ({reason_of(error)}): repeat the same command to go on.") from None
