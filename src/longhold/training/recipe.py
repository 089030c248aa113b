"""From a text to a trained model and its results."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from longhold.data.corpora import Corpus, require_length
from longhold.data.openings import common_opening
from longhold.data.tokenizers import Tokenizer
from longhold.models.contract import able_to_learn
from longhold.models.language_model import LanguageModel
from longhold.options import TextOptions
from longhold.training.batches import Batches, text_batches
from longhold.training.best import copy_of
from longhold.training.diagnosis import Diagnosis, Reading, Scale, Watch
from longhold.training.distributed import local_device
from longhold.training.divergence import Diverged
from longhold.training.evaluation import evaluate
from longhold.training.loop import TrainResult, train
from longhold.training.plan import Cost, TextPlan, WarmStart, plan_text, within_budget
from longhold.training.report import Progress
from longhold.training.run import Run
from longhold.training.sampled import KnownWords, known_words
from longhold.training.signals import Interrupted
from longhold.training.stopping import FAR

SHORTEST_TEXT = 200
"""Characters below which there is nothing to learn from."""

_SAMPLE_TOKENS = 200
_FINAL_SAMPLE_TOKENS = 1000


@dataclass(frozen=True)
class TrainedText:
    """A trained model and its results."""

    model: LanguageModel
    tokenizer: Tokenizer
    result: TrainResult
    characters: int
    """characters trained on"""
    held_out_bits: float | None
    """bits per character on the held-out tail"""
    held_out_bits_per_byte: float | None
    """the same per byte of UTF-8"""
    diagnosis: Diagnosis | None = None
    """the diagnosis; None where there is none, and for a run that was stopped"""
    sample: str | None = None
    """what the model writes; None for a run that was stopped"""
    words: KnownWords | None = None
    """how many words of the sample are words of the text"""
    opening: str = ""
    """what many sentences of the text begin with, for a prompt; empty where it has no letters"""
    improved: bool = True
    """False where training a warm start did not lower its held-out loss: it is as it was"""
    before: Cost = field(default_factory=Cost)
    """what training a warm start had cost before"""


class _Standing(NamedTuple):
    """A warm start before it is trained."""

    weights: dict[str, Tensor]
    """Its weights."""
    loss: float
    """Their held-out loss."""


@able_to_learn()
def train_text(
    corpus: Corpus,
    options: TextOptions,
    *,
    warm_start: WarmStart | None = None,
    device: str = "cpu",
    folder: Path | None = None,
    tensorboard: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    on_stop: Callable[[TrainedText], object] | None = None,
) -> TrainedText:
    """Train a language model on a text.

    The last part of the text is held out; the vocabulary is made from the rest alone. With `folder` the run is saved
    there as it goes, and a run of the same plan that is there already is resumed.

    A trained model (`warm_start`) continues with a new optimizer, at half the preset's learning rate, and ends as it
    was if the held-out loss never fell below where it started. A training that diverges ends with the weights of its
    best evaluation, and the diagnosis reports it.

    Args:
        corpus: the text.
        options: what the caller decided.
        warm_start: a trained model to continue from, for `options.budget_seconds`; None makes one.
        device: where to train.
        folder: where the run lives; None saves nothing before the end.
        tensorboard: also write event files into the folder.
        on_progress: called during the training.
        on_note: called with each sentence a person should read.
        on_stop: called, before `Interrupted` is raised, with the result of a stopped run.

    Raises:
        Diverged: the training diverged before it was better than a guess by how frequent each token is, or than
            the warm start, which is then as it was; an `InputError`.
        InputError: the text is too short, an option cannot be used, or what `train` raises.
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP, where there is a folder.
    """
    began = time.perf_counter()
    note = on_note or (lambda sentence: None)
    require_length(corpus, SHORTEST_TEXT)
    plan = plan_text(corpus, options, warm_start, local_device(device), folder, tensorboard, note)
    plan = within_budget(plan, options.budget_seconds, note, elapsed=time.perf_counter() - began)
    scale, batches = plan.scale(), text_batches(plan.tokens, plan.config)
    before = None if warm_start is None else _standing(plan)
    earlier = _readings(plan.run)
    watch = Watch(scale, plan.config.evaluation_interval, on_progress=on_progress, on_note=note, earlier=earlier)
    try:
        result = _train(plan, batches, scale, before, watch)
    except Interrupted:
        if on_stop is not None and (stopped := _stopped(plan, scale, before)) is not None:
            on_stop(stopped)
        raise
    except Diverged as found:
        raise _of_no_use(str(found), plan, before, scale) from None
    return _finished(plan, result, before, scale, watch, note)


def _finished(
    plan: TextPlan,
    result: TrainResult,
    before: _Standing | None,
    scale: Scale,
    watch: Watch,
    note: Callable[[str], None],
) -> TrainedText:
    """Returns what a run that is over leaves; a warm start that did not improve gets its weights back."""
    worse = result.held_out is not None and result.held_out > (scale.guess if before is None else before.loss)
    if result.diverged is not None:
        if worse:
            raise _of_no_use(result.diverged, plan, before, scale)
        return _trained(plan, result, result.held_out, scale, diagnosis=_diverged(result, scale, note))
    if before is not None and worse:
        plan.model.load_state_dict(before.weights)
        note(f"no further improvement: held-out {scale.bits(before.loss):.3f} bits per character, as before")
        return _trained(plan, result, before.loss, scale, improved=False)
    return _trained(plan, result, result.held_out, scale, diagnosis=watch.end(stopped_early=result.stopped_early))


def _train(plan: TextPlan, batches: Batches, scale: Scale, before: _Standing | None, watch: Watch) -> TrainResult:
    return train(
        plan.model,
        batches,
        plan.config,
        held_out=plan.held_tokens,
        run=plan.run,
        chance=scale.chance if before is None else max(scale.chance, before.loss),
        on_progress=watch,
        sample=lambda: plan.writer().text(_SAMPLE_TOKENS),
    )


def _of_no_use(why: str, plan: TextPlan, before: _Standing | None, scale: Scale) -> Diverged:
    """What to raise where a training diverged before it was of use; a warm start gets its weights back."""
    if before is None:
        guess = f"how frequent each character is ({scale.bits(scale.guess):.2f} bits per character)"
        return Diverged(f"{why}; nothing is kept, since no evaluation was better than {guess}")
    plan.model.load_state_dict(before.weights)
    return Diverged(f"{why}; the model stays as it was, at {scale.bits(before.loss):.2f} bits per character")


def _diverged(result: TrainResult, scale: Scale, note: Callable[[str], None]) -> Diagnosis:
    """Note the diagnosis of a training that diverged after it had learned something; returns it."""
    kept = "" if result.held_out is None else f", held-out {scale.bits(result.held_out):.2f} bits per character"
    sentence = f"{result.diverged}; the weights of step {result.best_step} were kept{kept}"
    note(sentence)
    return Diagnosis("diverged", sentence)


def _standing(plan: TextPlan) -> _Standing:
    return _Standing(copy_of(plan.model), evaluate(plan.model, plan.held_tokens, columns=plan.config.evaluate_columns))


def _readings(run: Run | None) -> list[Reading]:
    """Returns the evaluations of a run that resumes."""
    lines = [] if run is None else [line for line in run.entries() if {"held_out", "smoothed", "lr"} <= line.keys()]
    return [
        Reading(
            int(line["step"]),
            line["smoothed"],
            min(line["held_out"], line.get("held_out_average", math.inf)),
            line["lr"],
        )
        for line in lines
    ]


def _trained(
    plan: TextPlan,
    result: TrainResult,
    nats: float | None,
    scale: Scale,
    *,
    diagnosis: Diagnosis | None = None,
    improved: bool = True,
    sampled: bool = True,
) -> TrainedText:
    writer = plan.writer()
    written = "".join(writer.pieces(_FINAL_SAMPLE_TOKENS)) if sampled else ""
    return TrainedText(
        plan.model.eval(),
        plan.tokenizer,
        result,
        characters=len(plan.head),
        held_out_bits=None if nats is None else scale.bits(nats),
        held_out_bits_per_byte=None if nats is None else scale.bits_per_byte(nats),
        diagnosis=diagnosis,
        sample=writer.prime + written if sampled else None,
        words=known_words(written, plan.head) if sampled else None,
        opening=common_opening(plan.head),
        improved=improved,
        before=plan.before,
    )


def _stopped(plan: TextPlan, scale: Scale, before: _Standing | None) -> TrainedText | None:
    """Returns what a stopped run would end with now; None where a warm start is not better than it was, or a new model
    is still far above chance."""
    if plan.run is None:
        return None
    weights, counters = plan.run.kept()
    if counters.best_held_out is not None and counters.best_held_out > FAR * scale.chance:
        return None
    if before is not None and (counters.best_held_out is None or counters.best_held_out > before.loss):
        return None
    plan.model.load_state_dict(weights)
    numbers = asdict(counters)
    result = TrainResult(
        loss=math.nan if counters.smoothed is None else counters.smoothed,
        held_out=counters.best_held_out,
        steps=counters.step,
        tokens_per_second=counters.tokens / counters.step_seconds if counters.step_seconds else 0.0,
        **{name: numbers[name] for name in ("best_step", "stopped_early", "tokens", "seconds")},
    )
    return _trained(plan, result, counters.best_held_out, scale, sampled=False)
