"""Text models: `TextModel`, its facts, `load` and `train`."""

from longhold.sampling.scores import Score
from longhold.text.facts import Facts
from longhold.text.model import FILE, KIND, TextModel, load
from longhold.text.training import train

__all__ = ["FILE", "KIND", "Facts", "Score", "TextModel", "load", "train"]
