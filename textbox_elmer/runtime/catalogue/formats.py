"""Which special tokens stand around a model's sources and targets, as data."""

from collections.abc import Mapping
from dataclasses import dataclass

TEXT = "text"  # where the text goes between the special tokens
LANGUAGES = ("src_lang", "tgt_lang")  # roles that the options of the same names fill


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
