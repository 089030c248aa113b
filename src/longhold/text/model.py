"""`TextModel`: a model, its tokenizer and the facts of its training in one object."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, Literal, Self, final

import numpy as np
import torch
from numpy.typing import NDArray

from longhold.config import Config
from longhold.data.lines import as_read
from longhold.data.tokenizers import Tokenizer, start_token, tokenizer_from_dict
from longhold.errors import InputError
from longhold.files import StrPath, as_path
from longhold.inspection.text_trace import TextTrace, trace_text
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
from longhold.sampling.scores import Score, Surprises, by_place
from longhold.text.facts import Facts

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
