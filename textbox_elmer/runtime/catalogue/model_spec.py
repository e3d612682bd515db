"""What the host knows of a model, and which special tokens stand around its sources and targets, as data."""

from collections.abc import Mapping
from dataclasses import dataclass

TEXT = "text"  # where the text goes between the special tokens
LANGUAGES = ("src_lang", "tgt_lang")  # roles that the options of the same names fill
NAR, ENCODER_DECODER, CAUSAL = "NAR", "encoder-decoder", "causal"


@dataclass(frozen=True)
class Format:
    """TextBox's format of one model.

    A template names special tokens by their roles, in their order around the word `text`: "bos text eos". A role is
    one of transformers' (bos, eos, pad, cls, sep), or `src_lang`, `tgt_lang` for a language's code.

    Attributes:
        source, target: templates.
        tokens: the token of each role as the published checkpoints spell it; those of a tokenizer made from scratch,
            in the order of their ids.
        start: the role that the decoder starts from; a causal model has none.
        forced: the role of the first token, where generation forces it.
        language: how the token of a language is spelt, `{}` being its code.
        lacking: roles for which the published tokenizers have no token and get the one of `tokens`.
    """

    source: str
    target: str
    tokens: Mapping[str, str]
    start: str | None = None
    forced: str | None = None
    language: str = "{}"
    lacking: tuple[str, ...] = ()

    @property
    def end(self) -> str:
        """The role that ends a text."""
        return frame_of(self.target)[1][0]

    @property
    def has_languages(self) -> bool:
        """Whether codes of languages are part of it."""
        return any(role in template.split() for role in LANGUAGES for template in (self.source, self.target))

    def token(self, role: str, codes: Mapping[str, str]) -> str:
        """Return a role's token; `codes` holds those of the languages by `src_lang` and `tgt_lang`."""
        return self.language.replace("{}", codes[role]) if role in LANGUAGES else self.tokens[role]

    def show(self, template: str, text: str) -> str:
        """Return a template as TextBox writes it, e.g. `[<s>, src, </s>]` for the text "src"."""
        codes = {role: role for role in LANGUAGES}
        words = (text if role == TEXT else self.token(role, codes) for role in template.split())
        return f"[{', '.join(words)}]"


def frame_of(template: str) -> tuple[list[str], list[str]]:
    """Return a template's roles before and after the text."""
    roles = template.split()
    place = roles.index(TEXT)
    return roles[:place], roles[place + 1 :]


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
