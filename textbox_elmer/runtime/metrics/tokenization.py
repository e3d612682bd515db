"""Sentences and words as nltk cuts them, with a Punkt model that a package brings instead of a download."""

from functools import cache

from nltk.tokenize import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
from punkt import load_model

_WORDS = NLTKWordTokenizer()


@cache
def _sentence_tokenizer() -> PunktSentenceTokenizer:
    """Build nltk's own tokenizer, since the package's cuts some texts otherwise, e.g. those that end in "..."."""
    model = load_model("english")
    parameters = PunktParameters()
    parameters.abbrev_types.update(model.abbrev_types)
    parameters.collocations.update(model.collocations)
    parameters.sent_starters.update(model.sent_starters)
    parameters.ortho_context.update(model.ortho_context)
    return PunktSentenceTokenizer(parameters)


def sentence_tokenize(text: str) -> list[str]:
    """Return a text's sentences, as `nltk.sent_tokenize` does."""
    return _sentence_tokenizer().tokenize(text)


def word_tokenize(text: str) -> list[str]:
    """Return a text's tokens, as `nltk.word_tokenize` does."""
    return [token for sentence in sentence_tokenize(text) for token in _WORDS.tokenize(sentence)]
