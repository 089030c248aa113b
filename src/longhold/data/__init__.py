"""Corpora, encodings, tokenizers and batches."""

from longhold.data.batching import Batch, Batches, ContiguousBatches, RandomBatches, fitting_batch
from longhold.data.corpora import Corpus, demo_corpus, known_names, load_corpus, require_length, split
from longhold.data.decoding import Decoded, decode
from longhold.data.timemachine import TutorialText, time_machine_tutorial
from longhold.data.token_file import TokenFile, open_tokens, write_tokens
from longhold.data.tokenizers import TOKENIZERS, Tokenizer, tokenizer_from_dict, train_tokenizer

__all__ = [
    "TOKENIZERS",
    "Batch",
    "Batches",
    "ContiguousBatches",
    "Corpus",
    "Decoded",
    "RandomBatches",
    "TokenFile",
    "Tokenizer",
    "TutorialText",
    "decode",
    "demo_corpus",
    "fitting_batch",
    "known_names",
    "load_corpus",
    "open_tokens",
    "require_length",
    "split",
    "time_machine_tutorial",
    "tokenizer_from_dict",
    "train_tokenizer",
    "write_tokens",
]
