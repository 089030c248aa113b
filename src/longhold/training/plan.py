"""The plan of a training on a text, from the text, the machine and what a person chose."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import JsonValue

from longhold.data.batching import Tokens
from longhold.data.corpora import Corpus, split
from longhold.data.frequencies import log_frequencies, token_counts
from longhold.data.held_text import HeldText
from longhold.data.overlap import cautions
from longhold.data.tokenizers import CharTokenizer, Tokenizer, train_tokenizer
from longhold.errors import InputError
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.models.memory import require_memory, require_memory_to_train
from longhold.options import Recipe, TextOptions
from longhold.training.another_plan import refusal
from longhold.training.batches import fitted_config, text_batches
from longhold.training.budget import rough_duration, with_budget
from longhold.training.choice import Settings, Trial, model_facts
from longhold.training.config import TrainConfig, checked
from longhold.training.diagnosis import FEW_STEPS, Scale, passes
from longhold.training.distributed import join
from longhold.training.presets import Candidate, Preset, available_cores, candidates, preset
from longhold.training.run import Run
from longhold.training.sampled import Writer, prime_of

SMALL_TEXT = 50_000
"""Characters below which a person should not expect much."""

_BEGINNING = 1 << 20  # characters of the held-out text that a prime is looked for in
_ENOUGH_STEPS = 500  # for a text of any length
_GENTLER = 0.5  # of the preset's learning rate, with which a trained model continues


class Cost(NamedTuple):
    """What a model's training has cost so far."""

    steps: int = 0
    """optimizer steps"""
    tokens: int = 0
    """targets trained on, repetitions counted"""
    seconds: float = 0.0
    """time"""


@dataclass(frozen=True)
class WarmStart:
    """A trained model to continue from."""

    model: LanguageModel
    """It is trained in place."""
    tokenizer: Tokenizer
    """Its tokenizer."""
    characters: int | None = None
    """Characters that it was trained on, to tell whether the text is a different one; None: not known."""
    cost: Cost = field(default_factory=Cost)
    """What its training has cost so far."""


@dataclass(frozen=True)
class TextPlan:
    """A text cut in two and encoded, a model and how it is trained."""

    tokenizer: Tokenizer
    model: LanguageModel
    config: TrainConfig
    head: HeldText
    tail: HeldText
    tokens: Tokens
    held_tokens: Tokens
    run: Run | None
    before: Cost
    most_steps: int | None = None
    """steps that were chosen, which a budget doesn't exceed"""

    def scale(self) -> Scale:
        """Measured on the held-out text, which the figures are of."""
        size = self.tokenizer.vocab_size
        log_p = log_frequencies(self.tokens, size)
        guess = -float(log_p @ token_counts(self.held_tokens, size)) / len(self.held_tokens)
        return Scale(
            characters_per_token=len(self.tail) / len(self.held_tokens),
            bytes_per_token=self.tail.size / len(self.held_tokens),
            steps_per_epoch=text_batches(self.tokens, self.config).per_epoch,
            guess=guess,
            chance=max(guess, math.log(self.tokenizer.vocab_size)),
        )

    def writer(self) -> Writer:
        """What writes samples, from words of the held-out text."""
        return Writer(self.model, self.tokenizer, prime_of(str(self.tail[:_BEGINNING])))


def plan_text(
    corpus: Corpus,
    options: TextOptions,
    warm_start: WarmStart | None,
    device: torch.device,
    folder: Path | None,
    tensorboard: bool,
    note: Callable[[str], None],
) -> TextPlan:
    """Decide and note everything but how many steps fit into a budget; until `within_budget` steps are the preset's.

    With a budget the settings are the richest that a few steps of each, timed here and now, show to fit; a run of the
    same budget that is in the folder has decided already.

    Args:
        corpus: the text.
        options: what the caller decided.
        warm_start: a trained model to continue from; None makes one.
        device: where it trains.
        folder: where the run lives; None saves nothing. With `warm_start` the run that was there before is replaced.
        tensorboard: whether the run also writes event files.
        note: called with each sentence a person should read.

    Raises:
        InputError: an option cannot be used, or the text is too short for a batch.
    """
    head, tail = split(corpus.held, options.held_out)
    for sentence in corpus.notes:
        note(f"{corpus.name}: {sentence}")
    for sentence in (*_size(head), *cautions(head, tail)):
        note(sentence)
    tokenizer = _tokenizer(head, options) if warm_start is None else warm_start.tokenizer
    tokens, held_tokens = tokenizer.encode_held(head), tokenizer.encode_held(tail)
    if warm_start is None:
        trial = Trial(
            tokens, device, options.seed, lambda one: _settings(one, options, tokens, tokenizer.vocab_size, device)
        )
        chosen = trial.chosen(_candidates(options, len(head), device), options.budget_seconds, folder)
        model_config, config = trial.settings(chosen)
        model = trial.model(model_config)
        note(_sentence(chosen.sentence, model_config, model, config, options))
    else:
        chosen = _preset_of(warm_start.model.config, len(head), device)
        config = fitted_config(_config(chosen, options, gentler=True), tokens)
        _require_memory(warm_start.model.config, config, device)
        model = warm_start.model.to(device)
        note(_continues(warm_start, config, head))
    run = None if folder is None else _run(folder, corpus, tokenizer, model.config, warm_start, tensorboard, options)
    before = Cost() if warm_start is None else warm_start.cost
    if run is not None and "before" in run.facts:
        before = Cost(**run.facts["before"])  # type: ignore[arg-type]
    most = config.steps if "steps" in options.training else None
    return TextPlan(tokenizer, model, config, head, tail, tokens, held_tokens, run, before, most)


def within_budget(plan: TextPlan, seconds: float | None, note: Callable[[str], None], elapsed: float = 0.0) -> TextPlan:
    """The plan with as many steps as fit into the time, which takes some to measure; as it is where None is given.

    `elapsed` seconds of it have passed already.
    """
    if seconds is None:
        return plan
    batches = text_batches(plan.tokens, plan.config)
    held_out = plan.held_tokens
    config = with_budget(plan.config, seconds, plan.model, batches, held_out=held_out, run=plan.run, elapsed=elapsed)
    if plan.most_steps is not None and config.steps >= plan.most_steps:
        own = {"steps": plan.most_steps, "run_seconds": None, "evaluate_every": plan.config.evaluate_every}
        config = config.model_copy(update={**own, "warmup_steps": plan.config.warmup_steps})
    note(_budget_sentence(seconds, config.steps, plan.config.steps, batches.per_epoch))
    return replace(plan, config=config)


def _budget_sentence(seconds: float, steps: int, suited: int, per_pass: int) -> str:
    """How much of a training fits into a time, and whether that is too little."""
    counted = "1 step" if steps == 1 else f"{steps:,} steps"
    fits = f"{seconds:g} s are about {counted} here, {passes(steps, per_pass)} over the text"
    if steps < min(FEW_STEPS, suited):
        enough = min(suited, _ENOUGH_STEPS)
        return f"{fits}: too few to learn much; {enough} would take about {rough_duration(seconds * enough / steps)}"
    return fits if steps >= per_pass else f"{fits}, so some of it is never read"


def _candidates(options: TextOptions, characters: int, device: torch.device) -> tuple[Candidate, ...]:
    """Returns what the time may be used for; without a budget the preset that suits the text."""
    cores, cell, recipe, width = available_cores(), options.cell, options.recipe, options.hidden_size
    if options.budget_seconds is None:
        return (Candidate(preset(characters, device, cores, cell, recipe, width), 0),)
    sized = options.num_layers is not None or not options.model.keys().isdisjoint(("num_layers", "hidden_size"))
    return candidates(characters, device, cores, cell, recipe, width, sized=sized)


def _settings(chosen: Preset, options: TextOptions, tokens: Tokens, ids: int, device: torch.device) -> Settings:
    config = fitted_config(_config(chosen, options, gentler=False), tokens)
    model = _model_config(chosen.model_config(ids), options)
    _require_memory(model, config, device)
    return Settings(model, config)


def _preset_of(model: LanguageModelConfig, characters: int, device: torch.device) -> Preset:
    """Returns the preset of a trained network, by its size."""
    recipe: Recipe = "awd" if model.weight_dropout else "standard"
    return preset(characters, device, available_cores(), model.cell, recipe, model.hidden_size)


def _size(head: HeldText) -> tuple[str, ...]:
    if len(head) >= SMALL_TEXT:
        return ()
    return (f"{len(head):,} characters are little to learn from: expect imitation of style, not sense",)


def _tokenizer(head: HeldText, options: TextOptions) -> Tokenizer:
    if options.tokenizer == "char" and options.vocab_size is None:
        return CharTokenizer.without_rare(head)
    return train_tokenizer(options.tokenizer, head, options.vocab_size)


def _config(chosen: Preset, options: TextOptions, *, gentler: bool) -> TrainConfig:
    settings = {**chosen.config.model_dump(), "seed": options.seed}
    if gentler:
        settings["lr"] *= _GENTLER
    settings |= options.training
    if "warmup_steps" not in options.training and isinstance(settings["steps"], int):
        warmup = 0 if settings["schedule"] == "one_cycle" else chosen.config.warmup_steps
        settings["warmup_steps"] = min(warmup, max(0, settings["steps"] // 10))
    return checked(TrainConfig, settings, source="training settings")


def _run(
    folder: Path,
    corpus: Corpus,
    tokenizer: Tokenizer,
    model_config: LanguageModelConfig,
    warm_start: WarmStart | None,
    tensorboard: bool,
    options: TextOptions,
) -> Run:
    """Returns the folder's run; a warm start replaces the run before, unless that is its own and was stopped."""
    facts: dict[str, JsonValue] = {
        "text_sha256": hashlib.sha256(corpus.held.utf8).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(repr(tokenizer.to_dict()).encode()).hexdigest(),
        "model": model_facts(model_config),
    }
    cost = None if warm_start is None else warm_start.cost
    facts |= join().from_main(lambda: _stage(Run(folder), cost))
    return Run(folder, facts, tensorboard=tensorboard, refusal=partial(refusal, options.chosen()))


def _stage(run: Run, cost: Cost | None) -> dict[str, JsonValue]:
    """Returns the facts that set a continued run apart from the one before, which is discarded if it is over."""
    stored = (run.stored_plan() or {}).get("facts", {})
    stage = stored.get("leg", 0)
    before = stored.get("before", {})
    if type(stage) is not int or stage < 0 or not _is_cost(before):
        raise InputError(f"{run.plan_path} was edited: leg is {stage!r:.40} and before {before!r:.40}")
    if cost is None:
        if stage:
            raise InputError(
                f"{run.folder} is of a model continued with --more: give --more again, or delete it to start over"
            )
        return {}
    if stage and run.unfinished():
        return {"leg": stage, "before": before}
    run.discard()
    return {"leg": stage + 1, "before": cost._asdict()}


_GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def _require_memory(model: LanguageModelConfig, config: TrainConfig, device: torch.device) -> None:
    """Refuse a network that could not be trained here: its weights, their gradients, what the optimizer remembers, the
    best weights and their average, and what the backward pass needs of a batch, at the very least.

    Raises:
        InputError: it takes more memory than there is.
    """
    copies = 3 + (2 if config.optimizer == "adamw" else config.momentum > 0) + (config.average_from is not None)
    require_memory_to_train(model, _shape(model), copies, device)
    kept = config.batch_size * config.sequence_length * model.num_layers * model.hidden_size * _GATES[model.cell]
    batch = f"batch_size={config.batch_size} with sequence_length={config.sequence_length} on {_shape(model)}"
    require_memory(4 * kept, batch, device)


def _is_cost(value: object) -> bool:
    numbers = value.values() if isinstance(value, dict) and value.keys() <= set(Cost._fields) else (None,)
    return all(type(number) in (int, float) for number in numbers)


def _model_config(chosen: LanguageModelConfig, options: TextOptions) -> LanguageModelConfig:
    given = {name: getattr(options, name) for name in ("num_layers", "dropout", "init")}
    decided = {name: value for name, value in given.items() if value is not None} | options.model
    try:
        wide = chosen if options.hidden_size is None else chosen.with_hidden_size(options.hidden_size)
        values = {**wide.model_dump(), **decided}
        values["tie_weights"] &= "tie_weights" in options.model or values["embedding_size"] == values["hidden_size"]
        return checked(LanguageModelConfig, values, source="model settings")
    except InputError as error:
        raise InputError(f"model settings: {str(error).removeprefix('model settings: ')}") from None


def _sentence(
    presets: str, model_config: LanguageModelConfig, model: LanguageModel, config: TrainConfig, options: TextOptions
) -> str:
    decided = any(value is not None for value in (options.hidden_size, options.num_layers))
    if not (decided or options.training or options.model):
        return presets
    return f"{_shape(model_config)}, {_count(model):,} parameters; {_steps(config)}"


def _continues(warm_start: WarmStart, config: TrainConfig, head: HeldText) -> str:
    other = warm_start.characters is not None and warm_start.characters != len(head)
    text = (
        f"; this is a different text ({len(head):,} characters to train on, {warm_start.characters:,} before), so "
        "held-out figures are not comparable with earlier ones"
        if other
        else ""
    )
    model = warm_start.model
    return f"continues with the {_shape(model.config)}, {_count(model):,} parameters; {_steps(config)}{text}"


def _shape(config: LanguageModelConfig) -> str:
    return f"{config.cell.upper()}, {config.num_layers} x {config.hidden_size} units"


def _count(model: LanguageModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _steps(config: TrainConfig) -> str:
    batch = f"{config.batch_size} x {config.sequence_length} tokens a step"
    return f"{batch}, {config.optimizer} from a learning rate of {config.lr:g}"
