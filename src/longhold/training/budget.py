"""A time budget becomes a number of steps before the run begins, by a short probe; `pace` then keeps the run to it."""

import copy
import math
import re
import statistics
import time
from collections.abc import Callable
from numbers import Real
from typing import NamedTuple

from longhold.errors import InputError
from longhold.models.contract import SequenceModel, able_to_learn
from longhold.training.batches import Batches
from longhold.training.config import TrainConfig
from longhold.training.distributed import Workers, join
from longhold.training.evaluation import HeldOut, evaluate
from longhold.training.generators import generators_kept
from longhold.training.run import Run
from longhold.training.session import Session

_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION = re.compile(rf"(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?")
_LONGEST = 366 * 86400.0
_EVALUATIONS = 20
_EVALUATING = 0.2  # of a budget that evaluations may take
_RESERVE = 0.05  # of a budget, for the time before a run and after it
_PROBED = 0.03  # of a budget that timing steps may take
_PROBED_SECONDS = 3.0  # at most
_PROBED_AT_MOST = 0.1  # of a budget, for two steps
_GLANCED = 0.01  # of a budget, for the steps of settings that may yet not be chosen
_GLANCED_SECONDS = 1.0
_GLANCED_STEPS = 6
_FORECAST_STEPS = 6
_FORECAST_SECONDS = 1.0


class _Numbers(NamedTuple):
    steps: int
    evaluate_every: int | None
    run_seconds: float | None


def parse_duration(text: str | float) -> float:
    """Seconds of a duration: `"10m"`, `"90s"`, `"1h30m"`, `"1.5h"`, or a bare number of seconds.

    Raises:
        InputError: for anything else, for 0, and beyond a year.
    """
    if isinstance(text, str):
        compact = text.strip().lower()
        if re.fullmatch(_NUMBER, compact):
            seconds = float(compact)
        else:
            parts = _DURATION.fullmatch(compact)
            hours, minutes, rest = parts.groups() if parts else (None, None, None)
            seconds = 3600 * float(hours or 0) + 60 * float(minutes or 0) + float(rest or 0)
    else:
        seconds = _number(text)
    if not 0 < seconds <= _LONGEST:
        raise InputError(f"duration {text!r:.60}: expected a time such as 90s, 10m or 1h30m, up to a year")
    return seconds


def rough_duration(seconds: float) -> str:
    """`45 s`, `6 minutes`: a time for people, rounded up."""
    return f"{math.ceil(seconds)} s" if seconds < 100 else f"{math.ceil(seconds / 60):,} minutes"


def _number(value: object) -> float:
    return math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)


def steps_for_budget(seconds: float, probe: Callable[[], float], *, warm_up: int = 3, count: int = 15) -> int:
    """How many steps fit in `seconds`: at least 1.

    `probe` takes one step and returns the seconds that it took. The first `warm_up` are discarded and the mean of the
    next `count` counts, without the tenth that took longest. Where steps are slow, probing ends once it has used three
    hundredths of the budget, or three seconds; but unless the first step used a tenth there is a second one, since the
    first is slower than others. The time that probing takes itself comes off the budget.
    """
    began = time.perf_counter()
    taken: list[float] = []
    while len(taken) < warm_up + count:
        taken.append(probe())
        used = time.perf_counter() - began
        if used > _PROBED_AT_MOST * seconds or (len(taken) > 1 and used > min(_PROBED * seconds, _PROBED_SECONDS)):
            break
    counted = sorted(taken[min(warm_up, len(taken) - 1) :])
    typical = statistics.fmean(counted[: max(1, math.floor(0.9 * len(counted)))])
    left = seconds - (time.perf_counter() - began)
    return max(1, math.floor(left / max(typical, 1e-9)))


def glanced_step_seconds(seconds: float, probe: Callable[[], float]) -> float:
    """The median time of a step after one that is not counted, of at most six that take a hundredth of `seconds`.

    Where the first took three hundredths it is the only one.
    """
    most = min(_GLANCED * seconds, _GLANCED_SECONDS)
    taken = [probe()]
    if taken[0] <= _PROBED * seconds:
        taken.append(probe())
    while len(taken) < _GLANCED_STEPS and sum(taken) + taken[-1] <= most:
        taken.append(probe())
    return statistics.median(taken[1:] or taken)


@able_to_learn()
def step_probe(model: SequenceModel, batches: Batches, config: TrainConfig) -> Callable[[], float]:
    """A probe for `steps_for_budget`: real training steps on a copy of the model, from the real batches.

    The model and torch's generators stay untouched.
    """
    session = Session(copy.deepcopy(model).train(), batches, config)

    def probe() -> float:
        with able_to_learn(), generators_kept(session.device):
            began = time.perf_counter()
            session.advance()
            session.settle()
            return time.perf_counter() - began

    return probe


@able_to_learn()
def with_budget(
    config: TrainConfig,
    seconds: float,
    model: SequenceModel,
    batches: Batches,
    *,
    held_out: HeldOut | None = None,
    run: Run | None = None,
    elapsed: float = 0.0,
) -> TrainConfig:
    """The configuration with `steps` set so that the run takes about `seconds` on this machine as it is now.

    The seconds `elapsed` before are subtracted, and a twentieth is left to beginning and end; half of the time is used
    in any case. The run then keeps to what is left, `run_seconds`: see `longhold.training.pace`.

    Where `run`'s folder holds a run that was planned for the same budget, its numbers are taken instead of measuring
    anew. Evaluations are counted in: with `evaluate_every` None there will be 20 of them, or as many as take a fifth of
    the budget; at least one. `warmup_steps` is held to a tenth of the steps, and of one cycle to half of them. Under
    `torchrun` all workers measure at the same time, and the slowest counts.
    """
    workers = join()
    chosen = workers.from_main(lambda: _stored(run, seconds))
    if chosen is None:
        began, left = time.perf_counter(), max(seconds / 2, (1 - _RESERVE) * seconds - elapsed)
        steps, every = _measured(config, left, model, batches, held_out, workers)
        measured = _Numbers(steps, every, max(seconds / 4, left - (time.perf_counter() - began)))
        chosen = min(workers.gather(measured), key=lambda numbers: numbers.steps)
    fitted = {
        "budget_seconds": seconds,
        "run_seconds": chosen.run_seconds,
        "steps": chosen.steps,
        "evaluate_every": config.evaluate_every or chosen.evaluate_every,
        "warmup_steps": min(config.warmup_steps, chosen.steps // (2 if config.schedule == "one_cycle" else 10)),
    }
    return TrainConfig(**{**config.model_dump(), **fitted})


def expected_seconds(
    config: TrainConfig, model: SequenceModel, batches: Batches, *, held_out: HeldOut | None = None
) -> float:
    """What the run would take on this machine as it is now, evaluations included, if it doesn't stop early.

    Measured by at most six real steps on a copy of the model, fewer where they are slow, and one evaluation.
    """
    probe, began = step_probe(model, batches, config), time.perf_counter()
    taken = [probe(), probe()]
    while len(taken) < _FORECAST_STEPS and time.perf_counter() - began < _FORECAST_SECONDS:
        taken.append(probe())
    evaluation = 0.0 if held_out is None else _evaluation_seconds(model, held_out, config.evaluate_columns)
    evaluations = math.ceil(config.steps / config.evaluation_interval)
    return config.steps * statistics.median(taken[1:]) + evaluations * evaluation


def _stored(run: Run | None, seconds: float) -> _Numbers | None:
    plan = run.stored_plan() if run is not None else None
    training = plan["training"] if plan is not None else {}
    if training.get("budget_seconds") != seconds or not isinstance(training.get("steps"), int):
        return None
    return _Numbers(training["steps"], training.get("evaluate_every"), training.get("run_seconds"))


def _measured(
    config: TrainConfig,
    seconds: float,
    model: SequenceModel,
    batches: Batches,
    held_out: HeldOut | None,
    workers: Workers,
) -> tuple[int, int | None]:
    """Steps, and those between two evaluations."""
    shard = batches.shard(workers.rank, workers.world) if workers.world > 1 else batches
    evaluation = 0.0 if held_out is None else _evaluation_seconds(model, held_out, config.evaluate_columns)
    evaluation *= 1 if config.average_from is None else 2 - config.average_from  # the average is evaluated too
    probe = step_probe(model, shard, config)
    every = config.evaluate_every
    if every is None and evaluation > 0:
        evaluations = max(1, min(_EVALUATIONS, math.floor(_EVALUATING * seconds / evaluation)))
        left = max(seconds / 2, seconds - evaluations * evaluation)
        steps = steps_for_budget(left, probe)
        every = math.ceil(steps / evaluations)
    else:
        each = evaluation / every if every is not None else 0.0
        steps = steps_for_budget(seconds, lambda: probe() + each)
    return steps, every


def _evaluation_seconds(model: SequenceModel, held_out: HeldOut, columns: int) -> float:
    """What one evaluation takes, measured on a prefix where there are many tokens."""
    if isinstance(held_out, Batches):
        began = time.perf_counter()
        evaluate(model, held_out)
        return time.perf_counter() - began
    part = held_out[: 4096 * columns]
    evaluate(model, part[:64], columns=columns)
    began = time.perf_counter()
    evaluate(model, part, columns=columns)
    return (time.perf_counter() - began) * len(held_out) / len(part)
