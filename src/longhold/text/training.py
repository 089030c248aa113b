"""`train`: a text becomes a `TextModel`."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from longhold.data.corpora import Corpus
from longhold.errors import InputError
from longhold.files import StrPath
from longhold.options import Cell, Recipe, TextOptions, Tokens
from longhold.text.facts import Facts
from longhold.text.model import TextModel
from longhold.text.place import Place
from longhold.text.source import corpus_of, is_model, require_arguments, settings, starting_model, warm_start
from longhold.training import Progress, parse_duration
from longhold.training.recipe import TrainedText, train_text


def train(
    source: StrPath | Corpus,
    *,
    budget: str | float | None = None,
    more: str | float | None = None,
    begin: TextModel | StrPath | None = None,
    cell: Cell = "lstm",
    tokenizer: Tokens = "char",
    recipe: Recipe | None = None,
    vocab_size: int | None = None,
    hidden_size: int | None = None,
    num_layers: int | None = None,
    dropout: float | None = None,
    init: str | None = None,
    held_out: float = 0.1,
    encoding: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    output: StrPath | None = None,
    folder: StrPath | None = None,
    overwrite: bool = False,
    tensorboard: bool = False,
    model: Mapping[str, object] | None = None,
    training: Mapping[str, object] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    on_trained: Callable[[TrainedText], None] | None = None,
) -> TextModel:
    """Train a language model on a text; what is not given is chosen from the text and the machine.

    Example:
        >>> model = longhold.train("diary.txt", budget="10m")
        >>> model = longhold.train("diary.txt", more="5m", begin=model)

    Args:
        source: a file, a folder, a glob pattern, a known name such as `timemachine`, or `-` for standard input; or a
            text that was read already. With `more` also a model file, whose text is then looked for by its name: beside
            it, or among the known ones.
        budget: time to train, such as 90s or 10m; None: a number of epochs that suits the text. A number is in seconds.
            The time becomes a number of steps once, by a short probe.
        more: continue training the model that is there, for 10m or so, at half the learning rate. It ends as it was
            where that did not improve it.
        begin: the model that `more` continues, or its file; None: `output`.
        cell: recurrence: rnn, gru or lstm.
        tokenizer: what the model reads and writes: char, byte, word or bpe (byte pairs).
        recipe: regularization: standard, or awd (AWD-LSTM's dropouts, tied and averaged weights); None: by text and
            budget. See `longhold.training.presets.preset`.
        vocab_size: largest vocabulary, for char, word and bpe; None: for char the characters that are not rare. The
            others are spelled in bytes, as is whatever the model never saw.
        hidden_size: units in a layer.
        num_layers: layers.
        dropout: dropout rate after each layer.
        init: initialization: uniform, tutorial, forget:1, chrono:512, orthogonal ... See `longhold.init`.
        held_out: fraction of the text, at its end, that is never trained on.
        encoding: encoding of the text; None: UTF-8, else detected. What was detected is noted.
        seed: decides the first weights, the batches and the dropout: the same seed trains the same model.
        device: where to train: cpu, cuda, mps ...
        output: the file to save the model in, at the end and when the training is stopped by Ctrl-C; None: nowhere. A
            model of longhold that is there is replaced; whether it can be written is known before the training.
        folder: where the run is saved as it goes; the same call again resumes it. None: nowhere.
        overwrite: whether `output` may also replace a file that is no model of longhold; never one that is read.
        tensorboard: also write event files into the folder of the run.
        model: fields of `LanguageModelConfig` that override the preset, such as `weight_dropout`.
        training: fields of `TrainConfig` that override the preset.
        on_progress: called as the training advances.
        on_note: called with each sentence a person should read.
        on_trained: called at the end with the result: how it went, a sample, how many of its words are known.

    A training that diverges is stopped: a loss is not finite or stays far above a uniform guess. If an evaluation was
    better than a guess by how frequent each character is, or than the model that is continued, its weights are returned
    and saved; `on_note`, or without it `warnings`, gets the line that reports it, and `on_trained` the diagnosis.

    Raises:
        InputError: one line for whatever cannot be used.
        Diverged: a training diverged before that; an `InputError`. Nothing is saved, and a model that was to be
            continued is as it was.
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP, where there is a folder.
    """
    chosen = {name: value for name, value in locals().items() if name in TextOptions.model_fields}
    require_arguments(source, {"begin": begin, "output": output, "folder": folder})
    options = _options(chosen, budget, more)
    place = Place(output, None if folder is None else Path(folder), overwrite, tensorboard)
    place.require(() if isinstance(source, Corpus) or is_model(source) else (source,))
    start = None if more is None else starting_model(source, begin, output, options)
    corpus = corpus_of(source, start, encoding, () if folder is None else (folder,), on_note)
    place.require(corpus.sources)
    place.make_folder()
    made, trained = _trained(_Training(corpus, options, start, place), device, on_progress, on_note)
    _report(trained, on_note, on_trained)
    return made


def _options(chosen: dict[str, Any], budget: str | float | None, more: str | float | None) -> TextOptions:
    if more is not None and budget is not None:
        raise InputError(f"budget={budget!r} and more={more!r}: expected one of them")
    seconds = more if budget is None else budget
    chosen |= {name: settings(chosen[name], name) for name in ("model", "training")}
    return TextOptions(**chosen, budget_seconds=None if seconds is None else parse_duration(seconds))


@final
@dataclass(frozen=True)
class _Training:
    """What is trained, and what becomes of it."""

    corpus: Corpus
    options: TextOptions
    start: TextModel | None
    """the model that is continued"""
    place: Place

    def save(self, trained: TrainedText) -> TextModel:
        """Returns the model of a training, which is saved."""
        facts = _facts(self.corpus.name, trained, self.options.seed, self.start)
        made = TextModel(trained.model, trained.tokenizer, facts)
        self.place.save(made)
        return made


def _trained(
    training: _Training,
    device: str,
    on_progress: Callable[[Progress], None] | None,
    on_note: Callable[[str], None] | None,
) -> tuple[TextModel, TrainedText]:
    def stop(trained: TrainedText) -> None:
        training.save(trained)
        note = training.place.stopped_note()
        if note is not None and on_note is not None:
            on_note(note)

    trained = train_text(
        training.corpus,
        training.options,
        warm_start=None if training.start is None else warm_start(training.start),
        device=device,
        folder=training.place.folder,
        tensorboard=training.place.tensorboard,
        on_progress=on_progress,
        on_note=on_note,
        on_stop=stop,
    )
    return training.save(trained), trained


def _report(
    trained: TrainedText,
    on_note: Callable[[str], None] | None,
    on_trained: Callable[[TrainedText], None] | None,
) -> None:
    if on_note is None and trained.diagnosis is not None and trained.diagnosis.kind == "diverged":
        warnings.warn(trained.diagnosis.sentence, stacklevel=3)
    if on_trained is not None:
        on_trained(trained)


def _facts(name: str, trained: TrainedText, seed: int, start: TextModel | None) -> Facts:
    if start is not None and not trained.improved:
        return start.facts
    result, before = trained.result, trained.before
    return Facts(
        corpus=name,
        characters=trained.characters,
        steps=before.steps + (result.best_step or result.steps),
        tokens_seen=before.tokens + result.tokens,
        seconds=before.seconds + result.seconds,
        seed=seed,
        held_out_bits_per_character=trained.held_out_bits,
        held_out_bits_per_byte=trained.held_out_bits_per_byte,
    )
