"""Corpora, tokenizers and batches."""

from .batching import Batch, Batches, ContiguousBatches, RandomBatches, fitting_batch
from .tokenizers import Tokenizer, tokenizer_from_dict, train_tokenizer

__all__ = [
    "Batch",
    "Batches",
    "ContiguousBatches",
    "RandomBatches",
    "Tokenizer",
    "fitting_batch",
    "tokenizer_from_dict",
    "train_tokenizer",
]
