"""Tokenizers: characters, bytes, words and byte pairs, all reversible."""

from longhold.data.tokenizers.base import StreamDecoder, Tokenizer
from longhold.data.tokenizers.bpe import BPETokenizer
from longhold.data.tokenizers.byte import ByteTokenizer
from longhold.data.tokenizers.char import CharTokenizer
from longhold.data.tokenizers.factory import TOKENIZERS, tokenizer_from_dict, train_tokenizer
from longhold.data.tokenizers.start import start_token
from longhold.data.tokenizers.utf8 import Continuations, continuations
from longhold.data.tokenizers.word import WordTokenizer, split_words

__all__ = [
    "TOKENIZERS",
    "BPETokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "Continuations",
    "StreamDecoder",
    "Tokenizer",
    "WordTokenizer",
    "continuations",
    "split_words",
    "start_token",
    "tokenizer_from_dict",
    "train_tokenizer",
]
