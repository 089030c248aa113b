"""From a text to a trained model: everything that has to be decided, decided once and said."""

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, JsonValue

from longhold.data.corpora import Corpus, require_length, split
from longhold.data.tokenizers import Tokenizer, train_tokenizer
from longhold.errors import InputError
from longhold.models.config import Config
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.sampling import SamplingConfig, generate
from longhold.training.batches import fitted_config, text_batches
from longhold.training.budget import with_budget
from longhold.training.config import TrainConfig, checked
from longhold.training.distributed import local_device
from longhold.training.loop import TrainResult, train
from longhold.training.presets import preset
from longhold.training.run import Run
from longhold.training.session import Progress

SHORTEST_TEXT = 200
"""Characters below which there is nothing to learn from."""

_SAMPLE_TOKENS = 200


class TextOptions(Config):
    """What a person may decide about training on a text; what is None is chosen from the text and the machine."""

    cell: Literal["rnn", "gru", "lstm"] = "lstm"
    """the recurrence"""
    tokenizer: Literal["char", "byte", "word", "bpe"] = "char"
    """what the model reads and writes"""
    vocab_size: int | None = Field(default=None, ge=1)
    """largest vocabulary, for words and byte pairs"""
    hidden_size: int | None = Field(default=None, ge=1)
    """width of a layer"""
    num_layers: int | None = Field(default=None, ge=1)
    """layers"""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """rate after each layer"""
    init: str | None = None
    """initialisation by name, such as `chrono:512`"""
    held_out: float = Field(default=0.1, gt=0, lt=1)
    """share of the text, at its end, that is never trained on"""
    budget_seconds: float | None = Field(default=None, gt=0)
    """time for the training; None: a number of epochs that suits the text"""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """decides the first weights, the batches and the dropout"""
    training: dict[str, Any] = Field(default_factory=dict)
    """fields of `TrainConfig` that win over the preset"""


@dataclass(frozen=True)
class TrainedText:
    """What came of it."""

    model: LanguageModel
    tokenizer: Tokenizer
    result: TrainResult
    characters: int
    """characters trained on"""
    held_out_bits: float | None
    """bits per character on the held-out tail"""


@dataclass(frozen=True)
class _Plan:
    tokenizer: Tokenizer
    model: LanguageModel
    config: TrainConfig
    tokens: NDArray[np.int64]
    held_tokens: NDArray[np.int64]
    characters: int
    held_characters: int
    run: Run | None


def train_text(
    corpus: Corpus,
    options: TextOptions,
    *,
    device: str = "cpu",
    folder: Path | None = None,
    tensorboard: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> TrainedText:
    """Train a language model on a text.

    The last share of the text is held out; the vocabulary is made from the rest alone. With `folder` the run is saved
    there as it goes, and a run of the same plan that is there already goes on where it stands.

    Args:
        corpus: the text.
        options: what the caller decided.
        device: where to train.
        folder: where the run lives; None saves nothing before the end.
        tensorboard: also write event files into the folder.
        on_progress: called as the training goes on.
        on_note: called with each sentence a person should read.

    Raises:
        InputError: the text is too short, an option cannot be used, or what `train` raises.
    """
    note = on_note or (lambda sentence: None)
    require_length(corpus, SHORTEST_TEXT)
    for sentence in corpus.notes:
        note(f"{corpus.name}: {sentence}")
    plan = _plan(corpus, options, local_device(device), folder, tensorboard, note)
    result = train(
        plan.model,
        text_batches(plan.tokens, plan.config),
        plan.config,
        held_out=plan.held_tokens,
        run=plan.run,
        on_progress=on_progress,
        sample=lambda: "".join(_sample(plan.model, plan.tokenizer, plan.tokens)),
    )
    bits = None
    if result.held_out is not None:
        bits = result.held_out / math.log(2) * len(plan.held_tokens) / plan.held_characters
    return TrainedText(plan.model.eval(), plan.tokenizer, result, plan.characters, bits)


def _plan(
    corpus: Corpus,
    options: TextOptions,
    device: torch.device,
    folder: Path | None,
    tensorboard: bool,
    note: Callable[[str], None],
) -> _Plan:
    head, tail = split(corpus.text, options.held_out)
    tokenizer = train_tokenizer(options.tokenizer, head, options.vocab_size)
    tokens, held_tokens = tokenizer.encode(head), tokenizer.encode(tail)
    chosen = preset(len(head), device, os.cpu_count() or 1, options.cell)
    settings = {**chosen.config.model_dump(), "seed": options.seed, **options.training}
    if "warmup_steps" not in options.training and isinstance(settings["steps"], int):
        settings["warmup_steps"] = min(chosen.config.warmup_steps, max(0, settings["steps"] // 10))
    config = fitted_config(checked(TrainConfig, settings, source="training settings"), tokens)
    model_config = _model_config(chosen.model_config(tokenizer.vocab_size), options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        model = model_config.build().to(device)
    facts: dict[str, JsonValue] = {
        "text_sha256": hashlib.sha256(corpus.text.encode("utf-8", "surrogatepass")).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(repr(tokenizer.to_dict()).encode()).hexdigest(),
        "model": model_config.model_dump(mode="json"),
    }
    run = None if folder is None else Run(folder, facts, tensorboard=tensorboard)
    note(_sentence(chosen.sentence, model_config, model, config, options))
    if options.budget_seconds is not None:
        batches = text_batches(tokens, config)
        config = with_budget(config, options.budget_seconds, model, batches, held_out=held_tokens, run=run)
        note(f"{options.budget_seconds:g} s are about {config.steps:,} steps here")
    return _Plan(tokenizer, model, config, tokens, held_tokens, len(head), len(tail), run)


def _model_config(chosen: LanguageModelConfig, options: TextOptions) -> LanguageModelConfig:
    given = {name: getattr(options, name) for name in ("hidden_size", "num_layers", "dropout", "init")}
    decided = {name: value for name, value in given.items() if value is not None}
    try:
        return LanguageModelConfig(**{**chosen.model_dump(), **decided})
    except InputError as error:
        raise InputError(f"model settings: {error}") from None


def _sentence(
    presets: str, model_config: LanguageModelConfig, model: LanguageModel, config: TrainConfig, options: TextOptions
) -> str:
    decided = any(value is not None for value in (options.hidden_size, options.num_layers)) or options.training
    if not decided:
        return presets
    count = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{model_config.cell.upper()}, {model_config.num_layers} x {model_config.hidden_size} units, "
        f"{count:,} parameters; {config.batch_size} x {config.sequence_length} tokens a step, "
        f"{config.optimizer} from a learning rate of {config.lr:g}"
    )


def _sample(model: LanguageModel, tokenizer: Tokenizer, tokens: NDArray[np.int64]) -> Iterator[str]:
    prompt = torch.from_numpy(tokens[:1]).to(next(model.parameters()).device)
    stream = tokenizer.stream()
    for token in generate(model, prompt, _SAMPLE_TOKENS, SamplingConfig(temperature=0.8), seed=0):
        yield stream.push(token)
    yield stream.flush()
