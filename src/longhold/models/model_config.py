"""What the configuration of every model has: its width, itself at another width, the model."""

from abc import abstractmethod
from typing import Self

import torch
from pydantic import Field

from longhold.config import Config
from longhold.models.contract import SequenceModel

LARGEST = 2**24
"""Sizes beyond this are typing errors, and their products would overflow."""


class ModelConfig(Config):
    """A network that can be made at any width."""

    cell: str
    """which architecture; each class lists its own names"""
    hidden_size: int = Field(ge=1, le=LARGEST)
    """H, width of each layer"""

    @property
    def smallest_hidden_size(self) -> int:
        """The least `hidden_size` that goes with the other fields."""
        return 1

    def with_hidden_size(self, hidden_size: int) -> Self:
        """The same network at another width, checked anew."""
        return type(self)(**{**self.model_dump(), "hidden_size": hidden_size})

    @abstractmethod
    def build(self, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> SequenceModel:
        """Returns a newly initialized model of this configuration."""
