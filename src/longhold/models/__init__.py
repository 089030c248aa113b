"""What is trained and what it is compared with; the model file; the parameter-budget solver and the costs."""

from longhold.models.budget import parameter_count, solve_hidden_size
from longhold.models.classifier import Classifier, ClassifierConfig
from longhold.models.contract import SequenceModel, State
from longhold.models.cost import flops_per_token, state_bytes
from longhold.models.file import read_model, write_model
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.models.network import Architecture, NetworkConfig, Sizes, network_for
from longhold.models.ngram import KneserNey

__all__ = [
    "Architecture",
    "Classifier",
    "ClassifierConfig",
    "KneserNey",
    "LanguageModel",
    "LanguageModelConfig",
    "NetworkConfig",
    "SequenceModel",
    "Sizes",
    "State",
    "flops_per_token",
    "network_for",
    "parameter_count",
    "read_model",
    "solve_hidden_size",
    "state_bytes",
    "write_model",
]
