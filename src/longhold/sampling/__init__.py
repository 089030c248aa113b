"""Text out of a model: how a token is drawn, and the stream of tokens."""

from longhold.sampling.generate import generate, generate_batch
from longhold.sampling.sampler import SamplingConfig, filter_logits, sample

__all__ = ["SamplingConfig", "filter_logits", "generate", "generate_batch", "sample"]
