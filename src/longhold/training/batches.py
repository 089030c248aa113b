"""The interface of training data, and the batches of a text."""

from typing import Protocol, Self, runtime_checkable

from torch import Tensor

from longhold.data.batching import ContiguousBatches, fitting_batch
from longhold.data.batching import Tokens as TokenArray
from longhold.training.config import TrainConfig


class Batch(Protocol):
    """One batch: `inputs` and `targets` `(T, B)`; `fresh`: it does not continue the batch before."""

    @property
    def inputs(self) -> Tensor: ...
    @property
    def targets(self) -> Tensor: ...
    @property
    def fresh(self) -> bool: ...


@runtime_checkable
class Batches(Protocol):
    """Training data: batches addressed by step, and the columns of one worker of several."""

    @property
    def per_epoch(self) -> int: ...
    def at(self, step: int) -> Batch: ...
    def shard(self, rank: int, world: int) -> Self: ...


def text_batches(tokens: TokenArray, config: TrainConfig) -> ContiguousBatches:
    """Contiguous streams over a text's tokens in the batch size, sequence length and seed of a configuration.

    Every epoch begins at another random offset.

    Raises:
        InputError: the text is too short for one batch.
    """
    return ContiguousBatches(tokens, config.batch_size, config.sequence_length, config.seed, random_offset=True)


def fitted_config(config: TrainConfig, tokens: TokenArray) -> TrainConfig:
    """The configuration with `batch_size` and `sequence_length` halved as far as a short text needs it.

    Raises:
        InputError: the text is too short for any batch.
    """
    batch_size, steps = fitting_batch(tokens, config.batch_size, config.sequence_length)
    return TrainConfig(**{**config.model_dump(), "batch_size": batch_size, "sequence_length": steps})
