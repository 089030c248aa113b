"""Where a text begins."""

from longhold.data.tokenizers.base import Tokenizer


def start_token(tokenizer: Tokenizer) -> int:
    """The id after which a text begins that has nothing before it: the newline, else the space, else 0.

    The first of them that the vocabulary has.
    """
    for text in ("\n", " "):
        if not tokenizer.unknown(text):
            return int(tokenizer.encode(text)[-1])
    return 0
