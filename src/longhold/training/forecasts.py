"""What training on a text would be, before it begins."""

from dataclasses import dataclass

from longhold.data.corpora import Corpus, require_length
from longhold.models.language_model import LanguageModelConfig
from longhold.options import TextOptions
from longhold.training.batches import text_batches
from longhold.training.budget import expected_seconds
from longhold.training.config import TrainConfig
from longhold.training.distributed import local_device
from longhold.training.plan import plan_text
from longhold.training.recipe import SHORTEST_TEXT


@dataclass(frozen=True)
class Forecast:
    """What `train_text` would do with the same text and options."""

    model: LanguageModelConfig
    """The network."""
    parameters: int
    """Its parameters."""
    training: TrainConfig
    """How it is trained; with a budget as many steps as fit, which is measured when it begins."""
    characters: int
    """Characters that are trained on."""
    held_out: int
    """Characters that are held out."""
    seconds: float
    """The budget; without one what it takes on this machine as it is now, if it doesn't stop early."""


def forecast(corpus: Corpus, options: TextOptions, *, device: str = "cpu") -> Forecast:
    """Plan a training, and without a budget time a few of its steps; nothing is written and nothing trained.

    Raises:
        InputError: the text is too short or an option cannot be used.
    """
    require_length(corpus, SHORTEST_TEXT)
    plan = plan_text(corpus, options, None, local_device(device), None, False, lambda sentence: None)
    seconds = options.budget_seconds
    if seconds is None:
        batches = text_batches(plan.tokens, plan.config)
        seconds = expected_seconds(plan.config, plan.model, batches, held_out=plan.held_tokens)
    return Forecast(
        plan.model.config,
        sum(parameter.numel() for parameter in plan.model.parameters()),
        plan.config,
        len(plan.head),
        len(plan.tail),
        seconds,
    )
