"""What a corruption is, said one token at a time and without any code of the room that it checks."""

from collections.abc import Collection, Sequence

Word = Sequence[int]
Sentence = Sequence[Word]


def split_words(
    ids: Sequence[int], sentence_starts: Collection[int], word_start_ids: Collection[int]
) -> list[Sentence]:
    """Return a text's sentences, each a list of words, each a list of tokens."""
    sentences: list[list[list[int]]] = []
    for place, token in enumerate(ids):
        if place == 0 or place in sentence_starts:
            sentences.append([])
        if place == 0 or place in sentence_starts or token in word_start_ids:
            sentences[-1].append([])
        sentences[-1][-1].append(token)
    return sentences


def is_corruption(
    sentences: Sequence[Sentence], output: Sequence[int], hidden: int, stand_ins: Collection[int]
) -> bool:
    """Tell whether `output` is all sentences in some order, with runs of exactly `hidden` words behind stand-ins.

    A stand-in is one token that hides any number of words that follow each other, also none. All readings of the output
    are tried, since a stand-in may look like a word.
    """
    whole = (1 << len(sentences)) - 1
    # Sentences begun, sentence and word that come next, place in the output, words hidden, whether a stand-in is open.
    todo = [(0, -1, 0, 0, 0, False)]
    seen = set(todo)
    while todo:
        begun, sentence, word, place, missing, is_open = todo.pop()
        following = []
        at_end = sentence < 0 or word == len(sentences[sentence])
        if at_end and begun == whole and place == len(output) and missing == hidden:
            return True
        if place < len(output) and output[place] in stand_ins:
            following.append((begun, sentence, word, place + 1, missing, True))
        if at_end:
            for number in range(len(sentences)):
                if not begun >> number & 1:
                    following.append((begun | 1 << number, number, 0, place, missing, is_open))
        else:
            tokens = sentences[sentence][word]
            if list(output[place : place + len(tokens)]) == list(tokens):
                following.append((begun, sentence, word + 1, place + len(tokens), missing, False))
            if is_open and missing < hidden:
                following.append((begun, sentence, word + 1, place, missing + 1, True))
        new = [state for state in following if state not in seen]
        seen.update(new)
        todo += new
    return False


def chi_square(counts: Sequence[float], expected: Sequence[float]) -> float:
    """Return Pearson's statistic."""
    return sum((count - mean) ** 2 / mean for count, mean in zip(counts, expected, strict=True))


def unlikely(degrees: int) -> float:
    """Return what a chi-square passes once in ten thousand times (Wilson and Hilferty 1931)."""
    spread = 2 / (9 * degrees)
    return degrees * (1 - spread + 3.719 * spread**0.5) ** 3
