"""Sentences and words as nltk cuts them, with Punkt models that a package brings instead of a download."""

from functools import cache

from nltk.tokenize import NLTKWordTokenizer
from punkt import PunktSentenceTokenizer, load_model


@cache
def _sentence_tokenizer() -> PunktSentenceTokenizer:
    return PunktSentenceTokenizer(load_model("english"))


_WORDS = NLTKWordTokenizer()


def sentence_tokenize(text: str) -> list[str]:
    """Return a text's sentences, as `nltk.sent_tokenize` does."""
    return list(_sentence_tokenizer().tokenize(text))


def word_tokenize(text: str) -> list[str]:
    """Return a text's tokens, as `nltk.word_tokenize` does."""
    return [token for sentence in sentence_tokenize(text) for token in _WORDS.tokenize(sentence)]
