"""The settings a time budget is used for: the richest whose steps fit, by steps timed on this machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from pydantic import JsonValue

from longhold.data.batching import Tokens
from longhold.data.frequencies import log_frequencies
from longhold.errors import InputError
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.training.batches import text_batches
from longhold.training.budget import glanced_step_seconds, step_probe
from longhold.training.config import TrainConfig
from longhold.training.distributed import join
from longhold.training.presets import Candidate, Preset
from longhold.training.run import Run

_FILLED = 0.85  # of a budget, what steps take; evaluations, samples and files take the rest
_BY_BUDGET = {"steps", "budget_seconds", "run_seconds", "warmup_steps", "evaluate_every"}

# Fields that models lacked at first; a plan that does not use them leaves them out, as earlier plans do.
_ADDED_LATER = ("output_dropout", "input_dropout", "embedding_dropout", "locked_dropout")


def choose(candidates: Sequence[Candidate], seconds: float, step_seconds: Callable[[Preset], float]) -> Preset:
    """Returns the first candidate whose steps there is time for, so a longer budget never chooses a later one.

    The last is timed first: no candidate's steps are faster, so one whose steps would not fit even at that speed is
    not timed.

    Args:
        candidates: what needs most time first.
        seconds: the budget.
        step_seconds: times a step of some settings.
    """
    *richer, last = candidates
    if not richer:
        return last.preset
    left, least = _FILLED * seconds, step_seconds(last.preset)
    for candidate in richer:
        if candidate.steps * least <= left and candidate.steps * step_seconds(candidate.preset) <= left:
            return candidate.preset
    return last.preset


class Settings(NamedTuple):
    """A preset together with what a person decided."""

    model: LanguageModelConfig
    """The network."""
    training: TrainConfig
    """How it is trained."""


@final
@dataclass(frozen=True)
class Trial:
    """Presets applied to a text."""

    tokens: Tokens
    """The text."""
    device: torch.device
    """Where it trains."""
    seed: int
    """Decides the first weights."""
    settings: Callable[[Preset], Settings]
    """Raises `InputError` where a preset does not go with what was decided."""

    def model(self, config: LanguageModelConfig) -> LanguageModel:
        """Returns a model whose output bias holds how frequent each id is, which the first steps would else learn."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(self.seed)
            model = config.build()
            model.output.bias.add_(torch.from_numpy(log_frequencies(self.tokens, config.vocab_size)))
        return model.to(self.device)

    def chosen(self, offered: Sequence[Candidate], seconds: float | None, folder: Path | None) -> Preset:
        """Returns the preset of the run in the folder, if its budget is the same; else chosen by timing a few steps.

        Args:
            offered: what needs most time first; without a budget there is only one.
            seconds: the budget.
            folder: of the run; None: there is none.
        """
        possible = [one for one in offered if self._is_possible(one.preset)]
        if seconds is None or len(possible) < 2:
            return (possible or offered)[-1].preset
        plan = None if folder is None else join().from_main(Run(folder).stored_plan)
        if plan is not None and plan["training"].get("budget_seconds") == seconds:
            for one in possible:
                if self._is_planned(one.preset, plan):
                    return one.preset
        return choose(possible, seconds, lambda preset: self._step_seconds(preset, seconds))

    def _step_seconds(self, preset: Preset, seconds: float) -> float:
        """Returns the seconds of a step of the slowest worker."""
        workers, settings = join(), self.settings(preset)
        batches = text_batches(self.tokens, settings.training)
        shard = batches.shard(workers.rank, workers.world) if workers.world > 1 else batches
        probe = step_probe(self.model(settings.model), shard, settings.training)
        return workers.largest([glanced_step_seconds(seconds, probe)])[0]

    def _is_possible(self, preset: Preset) -> bool:
        try:
            self.settings(preset)
        except InputError:
            return False
        return True

    def _is_planned(self, preset: Preset, plan: dict[str, Any]) -> bool:
        """Whether the plan has these settings; its number of steps may be another."""
        model, training = self.settings(preset)
        same = all(
            plan["training"].get(name) == value for name, value in training.plan().items() if name not in _BY_BUDGET
        )
        return same and plan["facts"].get("model") == model_facts(model)


def model_facts(config: LanguageModelConfig) -> dict[str, JsonValue]:
    """Returns the network's entries in a plan."""
    fields = type(config).model_fields
    unused = {name for name in _ADDED_LATER if getattr(config, name) == fields[name].default}
    return config.model_dump(mode="json", exclude=unused)
