"""`TextModel`: a model, its tokenizer and the facts of its training in one hand."""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeGuard, final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from longhold._version import __version__
from longhold.data.corpora import Corpus, known_names, load_corpus, load_known
from longhold.data.lines import as_read
from longhold.data.tokenizers import Tokenizer, start_token, tokenizer_from_dict
from longhold.errors import InputError
from longhold.files import Source, StrPath, argument, as_path, make_folder, named_beside, quoted, require_output
from longhold.inspection.text_trace import TextTrace, trace_text
from longhold.models.config import Config
from longhold.models.contract import SequenceModel, device_of
from longhold.models.file import file_kind, read_model, write_model
from longhold.models.language_model import LanguageModel, LanguageModelConfig
from longhold.sampling import (
    DynamicConfig,
    SamplingConfig,
    dynamic_surprise,
    generate,
    stop_texts,
    surprise,
    until_stop,
)
from longhold.sampling.scores import Score as Score
from longhold.sampling.scores import Surprises, by_place
from longhold.training import Progress, Run, is_main, parse_duration
from longhold.training.plan import Cost, TextOptions, WarmStart
from longhold.training.recipe import TrainedText, train_text


def _last_part(name: Any) -> Any:
    if not isinstance(name, str):
        return name
    name = name.rstrip("/\\")
    return name[max(name.rfind("/"), name.rfind("\\")) + 1 :]


@final
class Facts(Config):
    """What is known of a model's training; None where it is not. Nothing here names a person, a machine or a folder."""

    longhold_version: str = __version__
    """version that trained it"""
    torch_version: str = str(torch.__version__)
    """version of torch that trained it"""
    corpus: Annotated[str, BeforeValidator(_last_part)] | None = None
    """name of the text; of a path only the last part is kept"""
    characters: int | None = Field(default=None, ge=0)
    """characters of the text that was trained on"""
    steps: int | None = Field(default=None, ge=0)
    """optimizer steps up to these weights"""
    tokens_seen: int | None = Field(default=None, ge=0)
    """targets trained on, repetitions counted"""
    seconds: float | None = Field(default=None, ge=0)
    """time the training took"""
    seed: int | None = None
    """seed of the initial weights, the batches and the dropout"""
    held_out_bits_per_character: float | None = Field(default=None, ge=0)
    """loss on text that was not trained on; None if nothing was held out"""
    held_out_bits_per_byte: float | None = Field(default=None, ge=0)
    """the same per byte of UTF-8"""


KIND: Final = "language_model"
"""What a model file says that it holds."""

FILE: Final = file_kind(KIND)
"""What a model file is known by."""


class _Document(Config):
    kind: Literal["language_model"]
    config: LanguageModelConfig
    tokenizer: dict[str, Any]
    facts: Facts


@final
class TextModel:
    """A model of text that can write, score and be saved.

    Every text that it is given is read as training reads one: a line feed for every CR LF and CR, no byte order mark.

    Where there is no text to begin from, it begins after the **start token**: the newline, else the space, else id 0,
    the first of them that the vocabulary has.

    Example:
        >>> model = longhold.load("diary.safetensors")
        >>> for piece in model.write("Once upon a time", temperature=0.8): print(piece, end="")

    Attributes:
        model: any `SequenceModel` over the tokenizer's ids.
        tokenizer: text to ids and back.
        facts: what is known of the training.
    """

    def __init__(self, model: SequenceModel, tokenizer: Tokenizer, facts: Facts | None = None) -> None:
        """Put the parts together; raises InputError where the model's vocabulary is not the tokenizer's."""
        known = model.config.vocab_size if isinstance(model, LanguageModel) else tokenizer.vocab_size
        if known != tokenizer.vocab_size:
            raise InputError(f"the model knows {known} token ids and its tokenizer has {tokenizer.vocab_size}")
        self.model = model
        self.tokenizer = tokenizer
        self.facts = Facts() if facts is None else facts

    def unknown(self, text: str) -> tuple[str, ...]:
        """The distinct pieces of `text` that the vocabulary does not have, in order of appearance.

        With a tokenizer that falls back to bytes they go in all the same, as bytes the model has hardly met; with a
        closed vocabulary `write` and `score` refuse them.
        """
        return self.tokenizer.unknown(as_read(text))

    def write(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        greedy: bool = False,
        repetition_penalty: float = 1.0,
        repetition_window: int = 64,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        echo: bool = False,
    ) -> Iterator[str]:
        """Text that goes on from `prompt`, in pieces of whole characters as they are drawn.

        At each place only tokens are drawn that go on with valid UTF-8, with their probabilities renormalised.

        Args:
            prompt: what the model reads first, all of it; empty: it begins after the start token.
            length: tokens to write. A character left unfinished by the last of them is not shown.
            temperature: see `SamplingConfig`, as for the next six.
            top_k: most probable tokens kept.
            top_p: probability kept.
            min_p: least probability kept, as a fraction of the largest.
            greedy: always take the most probable token.
            repetition_penalty: how hard it is to say again one of the last tokens.
            repetition_window: how many tokens count as the last ones.
            stop: a text, or several, before which the writing ends; neither it nor what follows comes out. Only what is
                written counts, not the prompt.
            seed: the same seed gives the same text; None: another one each time.
            echo: whether the prompt comes out first.

        Raises:
            InputError: an option is out of range, or the prompt has characters outside a closed vocabulary.
        """
        config = SamplingConfig(
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            greedy=greedy,
            repetition_penalty=repetition_penalty,
            repetition_window=repetition_window,
        )
        tokens = torch.from_numpy(self.prompt_ids(prompt)).to(device_of(self.model))
        rule = self.tokenizer.continuations
        pieces = self._pieces(generate(self.model, tokens, length, config, seed=seed, continuations=rule))
        written = until_stop(pieces, stop_texts(stop))
        return chain([as_read(prompt)], written) if echo and prompt else written

    def _pieces(self, ids: Iterator[int]) -> Iterator[str]:
        stream = self.tokenizer.stream()
        return filter(None, map(stream.push, ids))

    def prompt_ids(self, prompt: str) -> NDArray[np.int64]:
        """The ids the model reads before it writes: those of the prompt, or the start token for an empty one."""
        read = as_read(prompt, "the prompt")
        return self.tokenizer.encode(read) if read else np.array([start_token(self.tokenizer)])

    def score(self, text: str, *, dynamic: DynamicConfig | None = None) -> Score:
        """How well the model predicts `text`, read once with the state carried, begun after the start token.

        Args:
            text: what to read.
            dynamic: how a copy of the model learns from the text as it reads it; None: not at all.

        Raises:
            InputError: the text is empty or has characters outside a closed vocabulary, or the model's output is not
                finite.
        """
        return self.surprises(text, dynamic=dynamic).score

    def surprises(self, text: str, *, dynamic: DynamicConfig | None = None) -> Surprises:
        """As `score`, place by place.

        Example:
            >>> for place in model.surprises(text).largest(5): print(f"{place.bits:.1f} bits for {place.text!r}")
        """
        text = as_read(text, "the text to score")
        if not text:
            raise InputError("the text to score is empty")
        ids = self.tokenizer.encode(text)
        read = np.concatenate([[start_token(self.tokenizer)], ids])
        nats = surprise(self.model, read) if dynamic is None else dynamic_surprise(self.model, read, dynamic)
        return by_place(text, self.tokenizer, ids, nats)

    def trace(self, text: str, *, likeliest: int = 10, on_step: Callable[[int, int], None] | None = None) -> TextTrace:
        """What the model does as it reads `text`, begun after the start token: surprise, odds, states, gates.

        Args:
            text: what to read.
            likeliest: tokens whose odds are kept for each place.
            on_step: called with the steps done and their number; what it raises stops the reading.

        Raises:
            InputError: the text is empty or has characters outside a closed vocabulary, `likeliest` is below 1, or the
                model is not recurrent.
        """
        return trace_text(
            self.model,
            self.tokenizer,
            as_read(text, "the text to trace"),
            begin=start_token(self.tokenizer),
            likeliest=likeliest,
            on_step=on_step,
        )

    def save(self, path: StrPath, *, overwrite: bool = False) -> None:
        """Write everything to one `.safetensors` file, atomically.

        Args:
            path: the file; a language model of longhold that is there is replaced, with its mode and owner.
            overwrite: whether any other file that is there is replaced too.

        Raises:
            InputError: the file cannot be written, is there and is no such model, or the model is one that has no file
                form (an n-gram).
        """
        as_path(path, "the file")
        if not isinstance(self.model, LanguageModel):
            raise InputError(f"only a LanguageModel can be saved, not a {type(self.model).__name__}")
        document = {
            "kind": KIND,
            "config": self.model.config.model_dump(mode="json"),
            "tokenizer": self.tokenizer.to_dict(),
            "facts": self.facts.model_dump(mode="json"),
        }
        write_model(path, self.model.state_dict(), document, overwrite=overwrite)

    @classmethod
    @torch.inference_mode(False)  # what is loaded can be trained, wherever that was
    def load(cls, path: StrPath, device: torch.device | str | None = None) -> Self:
        """The model that `save` wrote, in evaluation mode, whatever device it was saved from.

        Args:
            path: the file.
            device: where to; None is torch's default device, the CPU unless it was set.

        Raises:
            InputError: see `read_model`; or the file holds something else than a language model, or one whose parts do
                not fit; or there is no such device.
        """
        as_path(path, "a model file")
        device = _present(torch.get_default_device() if device is None else device)
        tensors, document = read_model(path, device=device)
        kind = document["kind"]
        if kind != KIND:
            raise InputError(f"cannot read {os.fspath(path)!r}: it holds a {kind!r:.40}, expected a {KIND!r}")
        try:
            _require_modest(document, len(tensors))
            stored = _Document(**document)
            model = LanguageModel(stored.config, device="meta")
            model.take_weights(tensors)
            return cls(model.eval(), tokenizer_from_dict(stored.tokenizer), stored.facts)
        except InputError as error:
            raise InputError(f"cannot read {os.fspath(path)!r}: {error}") from None


_MOST_ENTRIES = 200
"""Names in any part of a document, of which each is complained about where it is unknown."""


def _require_modest(document: Mapping[str, Any], count: int) -> None:
    """Refuse what would take long to refuse: many unknown names, or more layers than there are tensors for."""
    for part in (document, document.get("config"), document.get("facts")):
        if isinstance(part, dict) and len(part) > _MOST_ENTRIES:
            raise InputError(f"its document has {len(part):,} entries in one place, expected at most {_MOST_ENTRIES}")
    config = document.get("config")
    layers = config.get("num_layers") if isinstance(config, dict) else None
    if isinstance(layers, int) and layers > count:
        raise InputError(f"the weights do not fit the model: {layers!r:.20} layers and {count} tensors")


def load(path: StrPath, device: torch.device | str | None = None) -> TextModel:
    """`TextModel.load`."""
    return TextModel.load(path, device)


def _present(device: torch.device | str) -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:  # torch asserts when it was built without the device
        reason = str(error).splitlines()[0]
        raise InputError(f"device {str(device)!r} cannot be used here: {reason}") from None


def train(
    source: StrPath | Corpus,
    *,
    budget: str | float | None = None,
    more: str | float | None = None,
    begin: TextModel | StrPath | None = None,
    cell: Literal["rnn", "gru", "lstm"] = "lstm",
    tokenizer: Literal["char", "byte", "word", "bpe"] = "char",
    recipe: Literal["standard", "awd"] | None = None,
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
        budget: time for the training, such as `"10m"` or seconds; it becomes a number of steps once, by a short probe.
            None: a number of epochs that suits the text.
        more: time to go on training a model that is there, at half the learning rate; it ends as it was where that
            brings nothing.
        begin: the model that `more` goes on from, or its file; None: `output`.
        cell: the recurrence.
        tokenizer: what the model reads and writes: characters, bytes, words or byte pairs.
        recipe: `standard`, or `awd` for the regularisation of AWD-LSTM; None: by text and budget. See
            `longhold.training.presets.preset`.
        vocab_size: largest vocabulary, for characters, words and byte pairs. None: of characters those that are not
            rare; the others are spelled in bytes, as is whatever the model never saw.
        hidden_size: width of a layer.
        num_layers: layers.
        dropout: rate after each layer.
        init: initialisation by name, such as `chrono:512`; see `longhold.init`.
        held_out: share of the text, at its end, that is never trained on.
        encoding: of the text; None: UTF-8, else detected and said.
        seed: decides the first weights, the batches and the dropout.
        device: where to train.
        output: the file to save the model in, at the end and when the training is stopped by Ctrl-C; None: nowhere. A
            model of longhold that is there is replaced; whether it can be written is known before the training.
        folder: where the run is saved as it goes; the same call again goes on where it stands. None: nowhere.
        overwrite: whether `output` may also replace a file that is no model of longhold; never one that is read.
        tensorboard: also write event files into the folder.
        model: fields of `longhold.models.LanguageModelConfig` that win over the preset, such as `weight_dropout`.
        training: fields of `longhold.training.TrainConfig` that win over the preset.
        on_progress: called as the training goes on.
        on_note: called with each sentence a person should read.
        on_trained: called at the end with all that came of it: how it went, a sample, how many of its words are known.

    A training that diverges is stopped: a loss is not finite or stays far above a uniform guess. If an evaluation was
    better than a guess by how frequent each character is, or than the model that goes on, its weights are returned
    and saved; `on_note`, or without it `warnings`, gets the line that says so, and `on_trained` the diagnosis.

    Raises:
        InputError: one line for whatever cannot be used.
        Diverged: a training diverged before that; an `InputError`. Nothing is saved, and a model that was to go on is
            as it was.
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP, where there is a folder.
    """
    _require_arguments(source, {"begin": begin, "output": output, "folder": folder})
    if more is not None and budget is not None:
        raise InputError(f"budget={budget!r} and more={more!r}: expected one of them")
    seconds = more if budget is None else budget
    options = TextOptions(
        cell=cell,
        tokenizer=tokenizer,
        recipe=recipe,
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        num_layers=num_layers,
        dropout=dropout,
        init=init,
        held_out=held_out,
        budget_seconds=None if seconds is None else parse_duration(seconds),
        seed=seed,
        model=_mapping(model, "model"),
        training=_mapping(training, "training"),
    )
    run = None if folder is None else Run(Path(folder), tensorboard=tensorboard)
    _require_places(output, run, () if isinstance(source, Corpus) or _is_model(source) else (source,), overwrite)
    start = _start(source, begin, output, options) if more is not None else None
    corpus = _corpus(source, start, encoding, () if folder is None else (folder,), on_note)
    _require_places(output, run, corpus.sources, overwrite)
    if folder is not None and output is not None and os.path.exists(output):
        make_folder(folder, like=output)  # a checkpoint has the same weights

    def keep(trained: TrainedText) -> TextModel:
        made = TextModel(trained.model, trained.tokenizer, _facts(corpus.name, trained, seed, start))
        if output is not None and is_main():
            made.save(output, overwrite=overwrite)
        return made

    def stop(trained: TrainedText) -> None:
        keep(trained)
        if output is not None and on_note is not None:
            on_note(f"the model so far is saved in {argument(output)}: longhold write {argument(output)}")

    trained = train_text(
        corpus,
        options,
        warm_start=None if start is None else _warm_start(start),
        device=device,
        folder=None if folder is None else Path(folder),
        tensorboard=tensorboard,
        on_progress=on_progress,
        on_note=on_note,
        on_stop=stop,
    )
    made = keep(trained)
    if on_note is None and trained.diagnosis is not None and trained.diagnosis.kind == "diverged":
        warnings.warn(trained.diagnosis.sentence, stacklevel=2)
    if on_trained is not None:
        on_trained(trained)
    return made


def _require_arguments(source: object, paths: Mapping[str, object]) -> None:
    """Refuse a text or a path that is of another type."""
    if not isinstance(source, Corpus | str | os.PathLike) or (
        isinstance(source, os.PathLike) and not _is_named(source)
    ):
        raise InputError(
            "a text should be a path, a pattern, a known name or '-' for standard input, or one that is at hand as "
            f"longhold.data.Corpus(name, text), got {type(source).__name__}"
        )
    for name, path in paths.items():
        if path is not None and not isinstance(path, TextModel):
            as_path(path, name)


def _is_named(path: os.PathLike[Any]) -> bool:
    return isinstance(os.fspath(path), str)


def _mapping(values: object, name: str) -> dict[str, Any]:
    if values is not None and not isinstance(values, Mapping):
        raise InputError(f"{name}={values!r:.60}: expected a dict of settings by name")
    return dict(values or {})


def _require_places(output: StrPath | None, run: Run | None, read: Sequence[Source], overwrite: bool) -> None:
    """Refuse, before anything is trained, what could not be written at the end."""
    if output is not None:
        require_output(output, FILE, inputs=read, overwrite=overwrite)
    if run is not None:
        run.require_ours()


def _start(
    source: StrPath | Corpus, begin: TextModel | StrPath | None, output: StrPath | None, options: TextOptions
) -> TextModel:
    """The model that goes on; `InputError` where there is none, or an option would need another one."""
    if begin is None:
        begin = source if _is_model(source) else output
    if begin is None:
        raise InputError("more: expected begin= or output=, the model that is to go on")
    if not isinstance(begin, TextModel) and not os.path.exists(begin):
        raise InputError(f"more: there is no model {quoted(begin)} to go on from; train one first, without it")
    start = begin if isinstance(begin, TextModel) else load(begin)
    fixed = options.of_a_new_model()
    if fixed:
        raise InputError(f"more: the model is there already, so {', '.join(fixed)} cannot be chosen")
    return start


def _warm_start(start: TextModel) -> WarmStart:
    if not isinstance(start.model, LanguageModel):
        raise InputError(f"more: only a LanguageModel can go on, not a {type(start.model).__name__}")
    facts = start.facts
    cost = Cost(facts.steps or 0, facts.tokens_seen or 0, facts.seconds or 0.0)
    return WarmStart(start.model, start.tokenizer, facts.characters, cost)


def _corpus(
    source: StrPath | Corpus,
    start: TextModel | None,
    encoding: str | None,
    leave_out: Sequence[StrPath],
    on_note: Callable[[str], None] | None,
) -> Corpus:
    """The text: for a model file what is beside it, or known, by the name of its corpus, which is said first."""
    if isinstance(source, Corpus):
        return source
    if not _is_model(source):
        return load_corpus(os.fspath(source), encoding=encoding, leave_out=[Path(place) for place in leave_out])
    if start is None:
        raise InputError(f"{quoted(source)} is a model, expected a text; --more 10m goes on with a model")
    note = on_note or (lambda sentence: None)
    name = start.facts.corpus
    beside = None if name is None else named_beside(Path(source).parent, name)
    if beside is not None:
        note(f"reads the text {quoted(beside.name)}, which lies beside {quoted(source)} and which the model names")
        return load_corpus(beside, encoding=encoding)
    if name is not None and name in known_names():
        note(f"reads the text {name}, which the model names")
        return load_known(name, encoding=encoding)
    wanted = "its text" if name is None else f"its text {name!r:.60}"
    raise InputError(f"{wanted} is not beside {quoted(source)}: give the text, and the model with --output")


def _is_model(source: StrPath | Corpus) -> TypeGuard[StrPath]:
    return not isinstance(source, Corpus) and os.fspath(source).endswith(".safetensors") and os.path.isfile(source)


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
