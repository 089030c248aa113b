"""Tokenizers: characters, bytes, words and byte pairs, all reversible."""

from .base import StreamDecoder, Tokenizer
from .bpe import BPETokenizer
from .byte import ByteTokenizer
from .char import CharTokenizer
from .factory import TOKENIZERS, tokenizer_from_dict, train_tokenizer
from .word import WordTokenizer, split_words

__all__ = [
    "TOKENIZERS",
    "BPETokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "StreamDecoder",
    "Tokenizer",
    "WordTokenizer",
    "split_words",
    "tokenizer_from_dict",
    "train_tokenizer",
]
