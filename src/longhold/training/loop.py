"""The training loop."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, able_to_learn, device_of
from longhold.training.batches import Batches
from longhold.training.config import TrainConfig
from longhold.training.distributed import join
from longhold.training.divergence import Diverged
from longhold.training.evaluation import HeldOut
from longhold.training.generators import generators_kept
from longhold.training.report import Progress
from longhold.training.run import Run
from longhold.training.session import Session
from longhold.training.signals import Interrupted, Interrupts


@dataclass(frozen=True)
class TrainResult:
    """The result of a run. Losses are nats per token."""

    steps: int
    """Steps taken."""
    loss: float
    """Training loss, smoothed, at the end."""
    held_out: float | None
    """Held-out loss of the weights that the model now has; None without held-out data."""
    best_step: int | None
    """The step of the best evaluation."""
    stopped_early: bool
    """Whether held-out loss no longer fell and training stopped before the last step."""
    tokens: int
    """Targets trained on, over all workers."""
    tokens_per_second: float
    """Those per second of stepping, evaluation and files not counted."""
    seconds: float
    """All time spent, over all processes that worked on the run."""
    diverged: str | None = None
    """Where it diverged and the weights of the best evaluation were kept: since when, and by which setting."""


@able_to_learn()
def train(
    model: SequenceModel,
    batches: Batches,
    config: TrainConfig,
    *,
    held_out: HeldOut | None = None,
    run: Run | None = None,
    chance: float | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    sample: Callable[[], str] | None = None,
) -> TrainResult:
    """Train `model` in place, by truncated back-propagation through time.

    Step `s` (from 0) takes `batches.at(s)`. The state is carried from batch to batch and cut from the graph in between;
    a `fresh` batch begins from the initial state. Then: gradients of the mean loss, clipping, one optimizer step at the
    schedule's learning rate.

    With `run`, checkpoints go to its folder, and a run that is there already is resumed: on the CPU, with
    the same build and number of threads, to the very bits of a run that was never interrupted. Ctrl-C, SIGTERM and
    SIGHUP then end the step under way, save, and raise `Interrupted`. Under `torchrun` each worker calls this with the
    same model and the same `batches` of the whole batch; gradients are averaged, and the main worker alone writes and
    reports.

    A run diverges where a loss, a gradient or a weight is not finite, or where training and held-out loss stay far
    above `chance`. It then ends with the weights of its best evaluation, and `TrainResult.diverged` gives the reason.

    A caller's `torch.no_grad()` or `torch.inference_mode()` does not hold inside.

    torch's global generators are seeded from `config.seed` inside, and are left as they were found.

    Args:
        model: anything that keeps the state contract; it ends with its best weights, or the last (`config.keep_best`).
            Where weights are averaged (`config.average_from`), the average may be the best.
        batches: addressed by step.
        config: steps, optimizer, schedule and so on.
        held_out: token ids `(N,)` or batches for the periodic evaluation; None never evaluates.
        run: the folder that the run lives in; None saves nothing.
        chance: nats per target of a uniform guess, such as ln V; None: only what is not finite has diverged.
        on_progress: called about four times a second and at each log event.
        sample: gives a text to show, every `config.sample_interval` steps; what it draws changes nothing here.

    Raises:
        Diverged: the run diverged before any evaluation was better than chance; an `InputError`.
        InputError: a folder with another plan or in use, a damaged checkpoint, a file that cannot be written, a
            precision that the device has not.
        Interrupted: after Ctrl-C, SIGTERM or SIGHUP, with the checkpoint written.
    """
    _require_arguments(model, batches, config)
    workers, diverged = join(), None
    with contextlib.ExitStack() as stack:
        stack.enter_context(generators_kept(device_of(model)))
        session = Session(
            model,
            batches,
            config,
            held_out=held_out,
            run=run,
            chance=chance,
            workers=workers,
            on_progress=on_progress,
            sample=sample,
        )
        session.begin(workers.from_main(lambda: None if run is None else stack.enter_context(run.opened(config))))
        interrupts = None if run is None else stack.enter_context(Interrupts())
        try:
            _run_steps(session, run, interrupts)
        except Diverged as found:
            if not session.end_diverged():
                raise
            diverged = str(found)
    return _result(session, diverged)


def _run_steps(session: Session, run: Run | None, interrupts: Interrupts | None) -> None:
    """Take steps until the run is over or a signal stops it."""
    while not session.counters.finished:
        session.advance()
        signal = session.follow_up(None if interrupts is None else interrupts.received)
        if signal and run is not None and not session.counters.finished:
            raise Interrupted(
                f"stopped at step {session.counters.step} of {session.config.steps}, saved in {run.folder}: "
                "give the same command again to resume",
                signal,
            )


def _require_arguments(model: object, batches: object, config: object) -> None:
    if not isinstance(model, SequenceModel):
        raise InputError(f"the model should be a longhold.models.SequenceModel, got {type(model).__name__}")
    if not isinstance(config, TrainConfig):
        raise InputError(f"the settings should be a longhold.training.TrainConfig, got {type(config).__name__}")
    if not isinstance(batches, Batches):
        raise InputError(
            f"batches should be addressed by step, such as text_batches(tokens, config), got {type(batches).__name__}"
        )


def _result(session: Session, diverged: str | None) -> TrainResult:
    counters, average = session.counters, session.position.average
    restored = session.position.best.restore(session.model)
    if average and not restored:
        session.model.load_state_dict(average, strict=False)  # of tied weights it has one name
    return TrainResult(
        steps=counters.step,
        loss=counters.smoothed if counters.smoothed is not None else float("nan"),
        held_out=counters.best_held_out if restored else counters.last_held_out,
        best_step=counters.best_step,
        stopped_early=counters.stopped_early,
        tokens=counters.tokens,
        tokens_per_second=counters.tokens / counters.step_seconds if counters.step_seconds else 0.0,
        seconds=counters.seconds,
        diverged=diverged or (f"diverged by step {counters.step}" if counters.diverged else None),
    )
