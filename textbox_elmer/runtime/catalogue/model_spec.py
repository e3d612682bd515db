"""What the host knows of a model."""

from dataclasses import dataclass

from textbox_elmer.runtime.catalogue.formats import Format

NAR, ENCODER_DECODER, CAUSAL = "NAR", "encoder-decoder", "causal"


@dataclass(frozen=True)
class ModelSpec:
    """How the host builds one model and frames its texts.

    Attributes:
        name: as in `--model=NAME`.
        model_type: the `model_type` that transformers' Auto classes know it by.
        format: its special tokens.
        kind: NAR (fills a fixed canvas at once), encoder-decoder or causal (goes on with the source).
        also: what TextBox calls it besides.
        half: for a model put together out of two, an encoder and a decoder, the `model_type` of either.
        reserved_positions: positions of the model that no token can have.
        idle_weights: whether it has weights that nothing is learnt by.
        checkpoints: names on the hub, as TextBox's instructions give them.
        notes: what a user should know.
    """

    name: str
    model_type: str
    format: Format
    kind: str = ENCODER_DECODER
    also: tuple[str, ...] = ()
    half: str | None = None
    reserved_positions: int = 0
    idle_weights: bool = False
    checkpoints: tuple[str, ...] = ()
    notes: str = ""

    @property
    def parallel(self) -> bool:
        """Whether it fills a fixed canvas at once (NAR) instead of decoding token by token."""
        return self.kind == NAR

    @property
    def causal(self) -> bool:
        """Whether it is a decoder alone, which reads the source as the beginning of its own text."""
        return self.kind == CAUSAL

    @property
    def names(self) -> tuple[str, ...]:
        """All names that it goes by."""
        return (self.name, *self.also)

    def config_fields(self) -> frozenset[str]:
        """Return the names of the model's own configuration fields, e.g. `d_model`."""
        # Both take seconds, which not everything that asks for a model's name can spare; ours makes ELMER known.
        from transformers import AutoConfig

        import textbox_elmer.model  # noqa: F401

        fields = AutoConfig.for_model(self.half or self.model_type).to_dict()
        return frozenset(fields) - {"model_type", "transformers_version"}
