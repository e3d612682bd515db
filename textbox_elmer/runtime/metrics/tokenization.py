"""Words as nltk cuts them."""

from nltk.tokenize import NLTKWordTokenizer

from textbox_elmer.text.sentences import sentence_tokenize

_WORDS = NLTKWordTokenizer()


def word_tokenize(text: str) -> list[str]:
    """Return a text's tokens, as `nltk.word_tokenize` does."""
    return [token for sentence in sentence_tokenize(text) for token in _WORDS.tokenize(sentence)]
