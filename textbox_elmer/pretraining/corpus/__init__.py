"""Raw text to pre-train on: files of any size, or a stream from the hub."""

from textbox_elmer.pretraining.corpus.blocks import sample_texts
from textbox_elmer.pretraining.corpus.dataset import CorpusBatches, CorpusLoader, TextCorpus
from textbox_elmer.pretraining.corpus.files import find_files
from textbox_elmer.pretraining.corpus.index import CorpusIndex, Packing, build_index
from textbox_elmer.pretraining.corpus.stream import HeldOutTexts, StreamedCorpus, first_texts, open_stream

__all__ = [
    "CorpusBatches",
    "CorpusIndex",
    "CorpusLoader",
    "HeldOutTexts",
    "Packing",
    "StreamedCorpus",
    "TextCorpus",
    "build_index",
    "find_files",
    "first_texts",
    "open_stream",
    "sample_texts",
]
