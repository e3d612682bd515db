"""Sentences as nltk cuts them, with a Punkt model that a package brings instead of a download."""

from functools import cache

from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
from punkt import load_model


@cache
def sentence_tokenizer() -> PunktSentenceTokenizer:
    """Return nltk's Punkt for English.

    It is nltk's own class, since the model's package cuts some texts otherwise, e.g. those that end in "...".
    """
    model = load_model("english")
    parameters = PunktParameters()
    parameters.abbrev_types.update(model.abbrev_types)
    parameters.collocations.update(model.collocations)
    parameters.sent_starters.update(model.sent_starters)
    parameters.ortho_context.update(model.ortho_context)
    return PunktSentenceTokenizer(parameters)


def sentence_tokenize(text: str) -> list[str]:
    """Return a text's sentences, as `nltk.sent_tokenize` does."""
    return sentence_tokenizer().tokenize(text)


def sentence_offsets(text: str) -> list[int]:
    """Return where each sentence of a text begins, in characters."""
    return [start for start, _ in sentence_tokenizer().span_tokenize(text)]
