"""ELMER itself: configuration, encoder and decoder with off-ramps, losses, decoding.

Importing this package makes ELMER known to transformers' Auto classes. It imports nothing else of this project, so
the folder can be copied into another one.
"""

from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer, BartTokenizer

from .configuration import ElmerConfig
from .exit_fitting import fit_exit_classifier
from .modeling import ElmerForConditionalGeneration
from .outputs import ElmerGeneration, ElmerOutput

AutoConfig.register("elmer", ElmerConfig, exist_ok=True)
for auto_class in (AutoModel, AutoModelForSeq2SeqLM):  # ELMER has no use without its head
    auto_class.register(ElmerConfig, ElmerForConditionalGeneration, exist_ok=True)
AutoTokenizer.register(ElmerConfig, tokenizer_class=BartTokenizer, exist_ok=True)

__all__ = [
    "ElmerConfig",
    "ElmerForConditionalGeneration",
    "ElmerGeneration",
    "ElmerOutput",
    "fit_exit_classifier",
]
