"""Text out of a model: how a token is drawn, and the stream of tokens."""

from longhold.sampling.dynamic import DynamicConfig, dynamic_surprise
from longhold.sampling.generate import generate, generate_batch
from longhold.sampling.sampler import SamplingConfig, filter_logits, sample
from longhold.sampling.stop import stop_texts, until_stop
from longhold.sampling.surprise import surprise
from longhold.sampling.walk import Candidate, Walk

__all__ = [
    "Candidate",
    "DynamicConfig",
    "SamplingConfig",
    "Walk",
    "dynamic_surprise",
    "filter_logits",
    "generate",
    "generate_batch",
    "sample",
    "stop_texts",
    "surprise",
    "until_stop",
]
