"""Writing by compiled code: from a batch's sources to its canvas's tokens in one graph, a few shapes of it in all."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from .configuration import ElmerConfig
from .dag import STEPWISE
from .generation_options import GenerationOptions
from .writing import Writing

Write = Callable[[Tensor, Tensor | None, GenerationOptions, bool], Writing]

BACKEND = "inductor"
# Sources are padded to a multiple of this, those above 64 tokens to one of two lengths in each octave.
SHORTEST = 32
# Shapes that are kept: buckets of sources, batches that are powers of two, and the canvas's lengths that are asked for.
MOST_SHAPES = 128


class CompiledWriting:
    """What `write` writes, by code that is compiled when a shape is first met; on a CUDA device, as a CUDA graph.

    Sources get padding on their right, and batches sources that are nothing but padding, until their shape is one of a
    few. Padding is masked, so the texts are the same; the canvas is as long as was asked for, for its length changes
    texts. A changed weight is read as it is, or noticed and compiled for.

    Hard exit, Viterbi and the beam search, which go by what they find, are written as without.

    Args:
        write: a model's way from sources `[batch, source_length]`, their attention mask, options and whether to
            collapse repeats to a canvas's tokens.
        config: the model's.
        device: where it will write.
    """

    def __init__(self, write: Write, config: ElmerConfig, device: torch.device) -> None:
        self.write, self.config, self.on_cuda = write, config, device.type == "cuda"
        # A CUDA graph's launch costs the host once what each of hundreds of kernels would.
        mode = "reduce-overhead" if self.on_cuda else None
        self.compiled = torch.compile(write, fullgraph=True, dynamic=False, backend=BACKEND, mode=mode)

    def __call__(
        self, sources: Tensor, attention_mask: Tensor | None, options: GenerationOptions, collapse_repeats: bool
    ) -> Writing:
        """Write as `write` does. On a CUDA device the tensors are written over by the next call."""
        batch, length = sources.shape
        most = self.config.max_position_embeddings
        # Viterbi's steps are the same whatever the texts, too, but each vertex has its own.
        by_steps = options.exit_mode == "hard" or options.decoding not in STEPWISE
        if by_steps or not 0 < length <= most or not batch:
            return self.write(sources, attention_mask, options, collapse_repeats)
        pad = self.config.pad_token_id
        mask = (sources != pad if attention_mask is None else attention_mask != 0).long()
        missing = (0, min(bucket(length), most) - length, 0, _power_of_two(batch) - batch)
        if self.on_cuda:
            torch.compiler.cudagraph_mark_step_begin()
        with torch._dynamo.config.patch(recompile_limit=MOST_SHAPES):
            writing = self.compiled(F.pad(sources, missing, value=pad), F.pad(mask, missing), options, collapse_repeats)
        return Writing._make(None if part is None else part[:batch] for part in writing)


def bucket(length: int) -> int:
    """Return the number of tokens that a source of this length is padded to."""
    step = max(SHORTEST, _power_of_two(length) // 4)
    return -(-length // step) * step


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
