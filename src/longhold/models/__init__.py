"""What is trained and what it is compared with; the model file; the parameter-budget solver."""

from longhold.models.budget import parameter_count, solve_hidden_size
from longhold.models.classifier import Classifier, ClassifierConfig
from longhold.models.contract import SequenceModel, State
from longhold.models.file import read_model, write_model
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.models.ngram import KneserNey

__all__ = [
    "Classifier",
    "ClassifierConfig",
    "KneserNey",
    "LanguageModel",
    "LanguageModelConfig",
    "SequenceModel",
    "State",
    "parameter_count",
    "read_model",
    "solve_hidden_size",
    "write_model",
]
