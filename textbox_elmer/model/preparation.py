"""What a model holds beside its weights while it only writes, and when it must let go of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .compiled import CompiledWriting
from .packing import Linear, pack, suits
from .screening import Screen, screen_pays

_data: Any = torch.Tensor.data


class Watched(nn.Parameter):
    """A parameter that notices when its `.data` is taken or replaced: no version counts what is written that way."""

    handed_out = False

    @property
    def data(self) -> Tensor:
        """The numbers themselves, as of any parameter."""
        self.handed_out = True
        return _data.__get__(self)

    @data.setter
    def data(self, value: Tensor) -> None:
        self.handed_out = True
        _data.__set__(self, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Parameter:
        # A copy belongs to another model, which is not prepared.
        memo[id(self)] = copied = nn.Parameter(self.detach().clone(), self.requires_grad)
        return copied


class _Held:
    """A weight of a module, as it was when something was made of it."""

    weight: Any  # of either class

    def __init__(self, module: nn.Linear) -> None:
        self.module, self.weight, self.version = module, module.weight, module.weight._version
        self.weight.__class__ = Watched
        self.weight.handed_out = False

    def is_unchanged(self) -> bool:
        weight = self.weight
        same = weight is self.module.weight and type(weight) is Watched
        return same and weight._version == self.version and not weight.handed_out


class Preparation:
    """Packed weights of a model's `Linear`s and a screen of its vocabulary, where they pay; use it as a context.

    Or else compiled code, which needs neither, and which no change of a weight makes untrue.

    They take memory beside the weights and are true only of these weights. The first change that is noticed ends it
    for good: a weight written to, replaced or moved, `.data` of one taken, `end()`, or the context's end. The model
    then writes as one that was never prepared. Not noticed is writing through another tensor over the same memory that
    was taken before (`weight.data`, an array of numpy).
    """

    def __init__(self, model: nn.Module, head: nn.Linear, compiled: CompiledWriting | None = None) -> None:
        layers: list[Linear] = []
        weight = head.weight
        self.compiled = compiled
        # Weights made in inference mode count no versions.
        watched = compiled is None and not weight.is_inference()
        if watched:
            layers = [layer for layer in model.modules() if isinstance(layer, Linear) and suits(layer.weight)]
        self._packs = [(layer, pack(layer)) for layer in layers]
        self._screen = Screen(weight) if watched and screen_pays(weight) else None
        heads = [] if self._screen is None else [head]
        self._held = [_Held(module) for module in (*layers, *heads)]

    def __enter__(self) -> "Preparation":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def __deepcopy__(self, memo: dict[int, Any]) -> None:
        """A copy of the model is not prepared."""

    @property
    def holds(self) -> bool:
        """Whether it is still in use: False once it has ended."""
        if self._held and not all(held.is_unchanged() for held in self._held):
            self.end()
        return bool(self._held) or self.compiled is not None

    @property
    def screen(self) -> Screen | None:
        """Return the vocabulary's screen, if there is one and the weights are still those it was made of."""
        return self._screen if self.holds else None

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the layers multiply by their packed weights within the block."""
        packs = self._packs if self.holds and not torch.is_autocast_enabled("cpu") else []
        try:
            for layer, packed in packs:
                layer.packed = packed
            yield
        finally:
            for layer, _ in packs:
                layer.packed = None

    def end(self) -> None:
        """Let go of it all. Ending twice is no fault."""
        for held in self._held:
            held.weight.__class__ = nn.Parameter
        self._packs, self._screen, self._held, self.compiled = [], None, [], None
