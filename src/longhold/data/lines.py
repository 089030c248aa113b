"""A text as it is read, wherever it comes from: texts to train on, score, trace and continue are read alike."""

from longhold.errors import InputError

MARK = "\ufeff"
"""The byte order mark, which is no part of a text that it stands before."""


def as_read(text: str, what: str = "the text") -> str:
    """A text without byte order marks before it, and with a line feed for every CR LF and every CR.

    What was read so already is returned as it is.

    Raises:
        InputError: it is no `str`; the line calls it `what`.
    """
    if not isinstance(text, str):
        raise InputError(f"{what} should be a str, got {type(text).__name__}")
    return plain_lines(text.lstrip(MARK))


def plain_lines(text: str) -> str:
    """A text with a line feed for every CR LF and every CR."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
