"""One process's part in a run: a step, and what is due after it."""

import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, final

import torch
from torch import Tensor

from longhold.errors import InputError
from longhold.models.contract import (
    SequenceModel,
    State,
    device_of,
    evaluation_mode,
    map_state,
    state_leaves,
)
from longhold.models.inputs import IGNORE_INDEX
from longhold.sampling.sampler import NotFinite
from longhold.training.average import in_place, take_into
from longhold.training.batches import Batch, Batches
from longhold.training.checkpoint import Counters, Position, pack, unpack
from longhold.training.config import TrainConfig
from longhold.training.distributed import Workers
from longhold.training.divergence import Diverged, divergence
from longhold.training.evaluation import HeldOut, evaluate
from longhold.training.generators import Generators, generators_kept, generators_of
from longhold.training.optim import build_optimizer
from longhold.training.pace import fitted_steps
from longhold.training.report import Progress
from longhold.training.requirements import require_precision, require_trainable
from longhold.training.run import Run, Saved
from longhold.training.schedule import learning_rate
from longhold.training.step import Objective, take_step
from longhold.training.stopping import FarFromChance, Patience

_SMOOTHING = 0.95
_REPORT_SECONDS = 0.25
_LARGE = 1e6  # bits, which are no longer written out


class _Taken(NamedTuple):
    lr: float
    loss: Tensor
    grad_norm: Tensor


class _Evaluated(NamedTuple):
    """Held-out losses of one evaluation, nats per token."""

    own: float
    """Of the weights themselves."""
    averaged: float | None
    """Of their average, where there is one."""


class _Due(NamedTuple):
    evaluation: bool
    log: bool
    sample: bool
    report: bool
    checkpoint: bool
    signal: int


@final
class Session:
    """Model, optimizer, data and position of one worker, and the files and callbacks of the main one."""

    def __init__(
        self,
        model: SequenceModel,
        batches: Batches,
        config: TrainConfig,
        *,
        held_out: HeldOut | None = None,
        run: Run | None = None,
        chance: float | None = None,
        workers: Workers | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        sample: Callable[[], str] | None = None,
    ) -> None:
        self.model, self.config, self.held_out, self.run, self.chance = model, config, held_out, run, chance
        self.workers = workers or Workers()
        self.device = device_of(model)
        require_precision(config.precision, self.device)
        require_trainable(model)
        self.batches = batches.shard(self.workers.rank, self.workers.world) if self.workers.world > 1 else batches
        learned = any(leaf.requires_grad for leaf in state_leaves(model.initial_state(1)))
        self.objective = self.workers.wrap(Objective(model), some_unused=learned)
        self.optimizer = build_optimizer(model, config)
        self.position = Position()
        self._arm_stopping()
        self._on_progress, self._sample = on_progress, sample
        self._pending: list[_Taken] = []
        self._last: tuple[float, float, float] = (math.nan, math.nan, math.nan)  # loss, lr, norm
        self._begin_clocks()

    @property
    def counters(self) -> Counters:
        """The numbers of the run so far."""
        return self.position.counters

    def begin(self, saved: Saved | None) -> None:
        """Stand where a checkpoint left off, or at the start."""
        if saved is None:
            torch.manual_seed((self.config.seed + 1) * 1_000_003 + self.workers.rank)
        else:
            tensors, document = saved
            rank, world = self.workers.rank, self.workers.world
            self.position = unpack(tensors, document, self.model, self.optimizer, rank, world)
            self._require_rows()
            if self.counters.steps is not None:
                self.config = self.config.model_copy(update={"steps": self.counters.steps})
            self._arm_stopping()
        self.model.train()
        self._begin_clocks()

    def _require_rows(self) -> None:
        if self.position.state is None:
            return
        rows = {leaf.shape[self.model.state_batch_dim] for leaf in state_leaves(self.position.state)}
        columns = self.batches.at(self.counters.step).inputs.shape[1]
        if rows - {columns}:
            raise InputError(f"the checkpoint carries a state of {max(rows)} rows for batches of {columns}")

    def _arm_stopping(self) -> None:
        counters = self.counters
        self._patience = Patience(self.config.patience, counters.best_held_out, counters.evaluations_since_best)
        self._far_from_chance = FarFromChance(self.chance, counters.evaluations_lost)

    def _begin_clocks(self) -> None:
        self._began = self._ticked = self._reported_at = self._saved_at = time.perf_counter()
        self._first_step = self.counters.step
        self._saved_step = self.counters.step or None
        self._logged = self._reported = (self.counters.tokens, self.counters.step_seconds)

    def advance(self) -> None:
        """Take one step. `settle` reads its loss later, so that a GPU need not wait for Python."""
        began, counters = time.perf_counter(), self.counters
        batch = self.batches.at(counters.step)
        lr = learning_rate(self.config, counters.step)
        step = take_step(self.optimizer, self._losses(batch), lr=lr, clip_norm=self.config.clip_norm)
        self._pending.append(_Taken(lr, step.losses[0], step.grad_norm))
        counters.step += 1
        self._take_into_average()
        counters.tokens += torch.as_tensor(batch.targets).numel() * self.workers.world
        counters.step_seconds += time.perf_counter() - began

    def _losses(self, batch: Batch) -> Iterator[Tensor]:
        """Yields the loss of a batch, and carries the state on."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            loss, self.position.state = self.objective(
                torch.as_tensor(batch.inputs, device=self.device),
                torch.as_tensor(batch.targets, device=self.device),
                None if batch.fresh else self.position.state,
            )
        yield loss

    def _take_into_average(self) -> None:
        starts, counters = self.config.averaging_starts, self.counters
        if starts is not None and counters.step > starts:
            counters.averaged += 1
            take_into(self.position.average, self.model, counters.averaged, self.config.average_decay)

    def settle(self) -> None:
        """Bring in the losses of the steps since the last call.

        Raises:
            Diverged: a loss or a gradient is not finite; the line names the first step where that happened.
        """
        if not self._pending:
            return
        began, counters = time.perf_counter(), self.counters
        losses = self.workers.mean(torch.stack([taken.loss.double() for taken in self._pending]).tolist())
        norms = torch.stack([taken.grad_norm.double() for taken in self._pending]).tolist()
        first = counters.step - len(losses) + 1
        for step, (loss, norm, taken) in enumerate(zip(losses, norms, self._pending, strict=True), start=first):
            if not math.isfinite(loss) or not math.isfinite(norm):
                self._require_targets(step)
                name, value = ("training loss", loss) if not math.isfinite(loss) else ("gradient norm", norm)
                raise self._diverged(f"the {name} became {value} at step {step}")
            before = counters.smoothed if counters.smoothed is not None else loss
            counters.smoothed = _SMOOTHING * before + (1 - _SMOOTHING) * loss
            counters.window_loss += loss
            counters.window_steps += 1
            self._last = loss, taken.lr, norm
        self._pending.clear()
        counters.step_seconds += time.perf_counter() - began

    def _require_targets(self, step: int) -> None:
        """Raises `InputError` where the loss of a step is not a number because its batch has no targets."""
        if bool((torch.as_tensor(self.batches.at(step - 1).targets) == IGNORE_INDEX).all()):
            raise InputError(f"the batch of step {step} has no targets: all are {IGNORE_INDEX}")

    def follow_up(self, signal: int | None) -> int:
        """Do what is due after a step: evaluate, log, report, save. Gives the signal that any worker received, or 0."""
        due = self._due(signal or 0)
        if any(due):
            self.settle()
        held_out = self._evaluate() if due.evaluation else None
        if due.evaluation and self.config.run_seconds is not None:
            self._keep_to_time()
        if due.log:
            self._log(held_out)
        self.counters.finished = self.counters.stopped_early or self.counters.step == self.config.steps
        if due.report:
            self._report(due.sample)
        if due.checkpoint or due.signal or self.counters.finished:
            self.save()
        return due.signal

    def _due(self, signal: int) -> _Due:
        step, config, now = self.counters.step, self.config, time.perf_counter()
        last, main = step == config.steps, self.workers.main
        late = config.checkpoint_seconds is not None and now - self._saved_at >= config.checkpoint_seconds
        sample = main and self._sample is not None and (last or step % config.sample_interval == 0)
        # Clocks and watchers differ between workers, and what is done must not: the main one decides.
        wants = [signal, main and late, sample or (main and now - self._reported_at >= _REPORT_SECONDS)]
        signal, save, report = (int(value) for value in self.workers.largest(wants))
        evaluation = self.held_out is not None and (last or step % config.evaluation_interval == 0)
        log = last or evaluation or step % config.log_every == 0
        return _Due(
            evaluation=evaluation,
            log=log,
            sample=sample,
            report=log or bool(report),
            checkpoint=bool(save) or (config.checkpoint_every is not None and step % config.checkpoint_every == 0),
            signal=signal,
        )

    def _evaluate(self) -> _Evaluated:
        counters, average = self.counters, self.position.average
        own, averaged = self._measure(), None
        if average:
            with in_place(average, self.model):
                averaged = self._measure()
        lower = own if averaged is None else min(own, averaged)
        counters.stopped_early = self._patience.observe(lower)
        counters.last_held_out, counters.evaluations_since_best = lower, self._patience.since_lowest
        self._require_near_chance(lower)
        return _Evaluated(own, averaged)

    def _require_near_chance(self, held_out: float) -> None:
        """Raises `Diverged` where losses stay far above chance, or no evaluation was anywhere near it."""
        counters, rule = self.counters, self._far_from_chance
        if rule.chance is None or counters.smoothed is None:
            return
        lost = rule.observe(min(held_out, counters.smoothed))
        counters.evaluations_lost = rule.in_a_row
        never = counters.step == self.config.steps and rule.is_far(counters.best_held_out or 0.0)
        if lost or never:
            bits, guess = (nats / math.log(2) for nats in (held_out, rule.chance))
            figure = f"{bits:,.1f}" if bits < _LARGE else f"{bits:.2g}"
            raise self._diverged(
                f"held-out loss is {figure} bits per token at step {counters.step}, a uniform guess has {guess:.1f}"
            )

    def _keep_to_time(self) -> None:
        self._tick()
        steps = self.workers.from_main(lambda: fitted_steps(self.config, self.counters.step, self.counters.seconds))
        self.counters.steps = steps
        self.config = self.config.model_copy(update={"steps": steps})

    def _measure(self) -> float:
        """Returns the held-out loss of the weights that the model has; they are kept if it is the lowest so far."""
        held_out, counters = self.held_out, self.counters
        if held_out is None:
            raise RuntimeError("there is nothing to evaluate on")
        columns = self.config.evaluate_columns
        nats = self.workers.from_main(lambda: evaluate(self.model, held_out, columns=columns))
        if not math.isfinite(nats):
            raise self._diverged(f"the held-out loss became {nats} at step {counters.step}")
        if self.position.best.offer(nats, counters.step, self.model, keep=self.config.keep_best):
            counters.best_held_out, counters.best_step = nats, counters.step
        return nats

    def _log(self, held_out: _Evaluated | None) -> None:
        counters = self.counters
        loss = counters.window_loss / counters.window_steps
        counters.window_loss, counters.window_steps = 0.0, 0
        rate, self._logged = self._rate(self._logged)
        if self.run is None or not self.workers.main:
            return
        self._tick()
        entry = {
            "step": counters.step,
            "loss": loss,
            "bits": loss / math.log(2),
            "smoothed": counters.smoothed,
            "lr": self._last[1],
            "grad_norm": self._last[2],
            "held_out": None if held_out is None else held_out.own,
            "held_out_bits": None if held_out is None else held_out.own / math.log(2),
            "held_out_average": None if held_out is None else held_out.averaged,
            "tokens_per_second": rate,
            "seconds": counters.seconds,
        }
        self.run.log({name: value for name, value in entry.items() if value is not None})

    def _report(self, with_sample: bool) -> None:
        rate, self._reported = self._rate(self._reported)
        if self.workers.main and (self._on_progress is not None or with_sample):
            text = self._sampled() if with_sample else None
            self._tick()
            counters = self.counters
            loss, lr, norm = self._last
            pace = (time.perf_counter() - self._began) / max(1, counters.step - self._first_step)
            if self._on_progress is not None:
                self._on_progress(
                    Progress(
                        step=counters.step,
                        steps=self.config.steps,
                        loss=loss,
                        smoothed=counters.smoothed if counters.smoothed is not None else loss,
                        tokens_per_second=rate,
                        seconds=counters.seconds,
                        eta_seconds=0.0 if counters.finished else pace * (self.config.steps - counters.step),
                        held_out=counters.last_held_out,
                        lr=lr,
                        grad_norm=norm,
                        sample=text,
                    )
                )
        self._reported_at = time.perf_counter()

    def _sampled(self) -> str | None:
        if self._sample is None:
            return None
        try:
            with generators_kept(self.device), evaluation_mode(self.model), torch.no_grad():
                return self._sample()
        except NotFinite:
            return None  # all workers see it in the loss of the next step

    def save(self) -> None:
        """Write the checkpoint, if there is a folder for it.

        Raises:
            Diverged: the weights are not finite.
            InputError: it cannot be written. In both cases the checkpoint before stays.
        """
        if self.run is None:
            return
        self.settle()
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.parameters()):
            raise self._diverged(f"weights are not finite after step {self.counters.step}")
        self._tick()
        state = self.position.state
        parts = self.workers.gather(
            (None if state is None else map_state(torch.Tensor.cpu, state), generators_of(self.device))
        )
        self.workers.from_main(lambda: self._write(*zip(*parts, strict=True)))
        self._saved_at, self._saved_step = time.perf_counter(), self.counters.step

    def _write(self, states: tuple[State | None, ...], generators: tuple[Generators, ...]) -> None:
        if self.run is not None:
            self.run.save(*pack(self.model, self.optimizer, self.position, states, generators))

    def _rate(self, since: tuple[int, float]) -> tuple[float, tuple[int, float]]:
        now = (self.counters.tokens, self.counters.step_seconds)
        seconds = now[1] - since[1]
        return ((now[0] - since[0]) / seconds if seconds > 0 else 0.0), now

    def _tick(self) -> None:
        now = time.perf_counter()
        self.counters.seconds += now - self._ticked
        self._ticked = now

    def _diverged(self, what: str) -> Diverged:
        line = divergence(what, self.config)
        if self.run is None or self.held_out is not None:
            return Diverged(line)
        if self._saved_step is None:
            return Diverged(f"{line}; no checkpoint was written yet")
        return Diverged(f"{line}; the checkpoint of step {self._saved_step} stays in {self.run.folder}")

    def end_diverged(self) -> bool:
        """End with the weights of the best evaluation, if they are better than chance; returns whether it did.

        If not, and held-out data has shown that nothing in the folder is of use, nothing is left there to resume.
        """
        counters, best = self.counters, self.position.best
        useful = self.chance is None or (counters.best_held_out or 0.0) <= self.chance
        if best.weights is None or not useful:
            if self.run is not None and self.held_out is not None:
                self.workers.from_main(self.run.forget)
            return False
        self._pending.clear()
        best.restore(self.model)
        counters.diverged = counters.finished = True
        self.save()
        return True
