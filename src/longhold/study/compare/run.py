"""Texts and cells put together as a plan that fits a time, run, and written down as the study's report."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self, final

from pydantic import Field, model_validator

from longhold.config import Config
from longhold.data import Corpus, require_length
from longhold.data.corpora import STANDARD_INPUT
from longhold.errors import InputError
from longhold.files import argument, require_folder
from longhold.models.budget import parameter_count
from longhold.models.network import Architecture, Sizes, network_for
from longhold.options import Cell
from longhold.study.compare.fit import Part, fitted
from longhold.study.execution.cost import Costs, bills, measure
from longhold.study.execution.executor import StudyProgress, pool_named, run_study
from longhold.study.execution.preflight import require_runnable
from longhold.study.plan.agenda import agenda
from longhold.study.plan.file import write_plan
from longhold.study.plan.plan import Experiment, Plan, load_plan
from longhold.study.plan.protocols import OfText
from longhold.study.report import Files, report_kinds, write_study_report
from longhold.study.rows.row import Row
from longhold.study.rows.spec import Seed, TaskValues, digest_of
from longhold.study.rows.store import Store
from longhold.study.text import texts
from longhold.study.text.task import read_text
from longhold.training.budget import rough_duration
from longhold.training.diagnosis import FEW_STEPS
from longhold.training.presets import available_cores

SHORTEST = 1000
"""Characters below which a text is not compared on."""

STORE = "study.sqlite"
"""The store in the folder of a comparison."""

PAGE = "index.html"
"""Its page."""

_REPORT_SECONDS = 4.0  # kept back for the page
_WRITING_SECONDS = 3.0  # of a model of a text: validation, its held-out bits and what it writes
_LOOKING_SECONDS = 0.15  # of a run of recall: what instruments see inside
_FILLED = 0.92  # of the processes' time, what runs are fitted to
_TEXT_FRACTION = 0.5  # of it, where recall is tested too
_MOST_STEPS = 1_000_000
_MOST_WORKERS = 16  # each holds a few hundred megabytes of torch
_REFERENCE_HIDDEN = 160


@final
class CompareConfig(Config):
    """What is compared and for how long."""

    cells: tuple[Cell, ...] = ("rnn", "gru", "lstm")
    """Recurrences, each once."""
    budget_seconds: Annotated[float, Field(gt=0)] = 180.0
    """Time for everything, the page too. Steps are chosen to fit it, so many for every run of the same kind."""
    parameters: Annotated[int, Field(ge=1)] | None = None
    """Trainable numbers of every model of a text; None: those of an LSTM of 160 units."""
    embedding_size: Annotated[int, Field(ge=1)] = 64
    """Width of the learned vector that stands for a character."""
    window: Annotated[int, Field(ge=2)] = 65
    """Characters of the windows that models of a text are trained on."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Windows in each step."""
    lr: Annotated[float, Field(gt=0)] = 3e-3
    """Learning rate of the models of a text; it falls to a twentieth."""
    encoding: str | None = None
    """The encoding that the texts were read with, for the command that is printed; None: none was given."""
    seed: Seed = 0
    """Decides weights, windows and writing of the models of a text."""
    written: Annotated[int, Field(ge=1)] = 400
    """Characters that each of them writes."""
    recall: bool = True
    """Whether one-symbol recall is tested too: the plan `quick` for these cells, with fewer steps where time asks."""
    workers: Annotated[int, Field(ge=1)] | None = None
    """Processes; None: one for each core that there is, at most 16."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.cells or len(set(self.cells)) < len(self.cells):
            raise ValueError(f"cells={','.join(self.cells)!r}: expected at least one cell, each once")
        return self


@final
@dataclass(frozen=True)
class Compared:
    """The result of a comparison."""

    plan: Plan
    """What was run; it lies beside the page under its name."""
    rows: tuple[Row, ...]
    """One for each run that has ended."""
    left: int
    """Runs that time did not suffice for; 0 where all are there."""
    files: Files
    """The report."""


def compare(
    corpora: Sequence[Corpus],
    folder: str | Path,
    config: CompareConfig | None = None,
    *,
    name: str = "compare",
    command: str | None = None,
    overwrite: bool = False,
    on_plan: Callable[[str], None] | None = None,
    on_progress: Callable[[StudyProgress], None] | None = None,
) -> Compared:
    """Train each cell at equal size and for equal steps on each text, test how long it holds a symbol, write the page.

    The folder gets the plan, a copy of each text (`texts`), the rows (`study.sqlite`) and the report: `index.html`,
    `report.md`, `rows.csv`, `rows.jsonl`. The same call goes on with a comparison that was stopped, by the plan that
    is there; another call makes a plan of another name, beside it. `longhold study run` takes the plan as it takes any.

    Args:
        corpora: texts, each with an experiment of its own.
        folder: where everything goes; it is made where it is missing.
        config: what is compared; None for the defaults.
        name: what the plan's name begins with.
        command: what a person types to get this again, for the page; None writes it from the configuration.
        overwrite: whether files of the report's names that longhold did not write are replaced; the store never is.
        on_plan: called with a sentence on what was chosen, before the runs begin.
        on_progress: called when the runs begin and after each.

    Raises:
        InputError: a text has fewer than 1,000 characters or is given twice, the parameters are too few for a cell, or
            the folder cannot be used.
    """
    config = config or CompareConfig()
    began, folder = time.monotonic(), Path(folder)
    require_place(corpora, folder, overwrite=overwrite)
    draft = _draft(_kept(corpora, folder), config, name)
    workers = config.workers or min(available_cores(), _MOST_WORKERS)
    path = folder / f"{draft.name}.toml"

    def left() -> float:
        return max(1.0, config.budget_seconds - _REPORT_SECONDS - (time.monotonic() - began))

    with Store(folder / STORE) as store, pool_named("local", workers) as pool:
        costs = None
        if not path.exists():
            require_runnable(agenda(draft, {}).specs(), pool)
            costs = measure(agenda(draft, {}).specs(), pool)
            write_plan(_fitted(draft, costs, _FILLED * left(), workers, config), path)
        plan = load_plan(str(path))
        if on_plan is not None:
            on_plan(plan.notes)
        end = run_study(plan, store, pool, begin_within=left(), costs=costs, on_progress=on_progress)
        rows = store.rows(plan.name, stage=None)
    run, report = (f"longhold study {part} {argument(path.name)} --store again.sqlite" for part in ("run", "report"))
    again = f"{command or _command(corpora, config)}\n{run}\n{report}"
    files = write_study_report(rows, plan, folder, again, page=PAGE, overwrite=overwrite)
    return Compared(plan, rows, end.left, files)


def require_place(corpora: Sequence[Corpus], folder: Path, *, overwrite: bool = False) -> None:
    """Refuse a folder that a comparison could not be written in, or would take something from.

    Raises:
        InputError: one line with the reason.
    """
    read = [source for corpus in corpora for source in corpus.sources]
    require_folder(folder, report_kinds(PAGE), inputs=read, overwrite=overwrite)
    if folder.is_dir():
        Store(folder / STORE).require_writable(read)
        require_folder(folder / texts.FOLDER, {})


def _kept(corpora: Sequence[Corpus], folder: Path) -> list[str]:
    """What rows call the texts, which now lie in the folder."""
    for corpus in corpora:
        require_length(corpus, SHORTEST, "compare")
    found = [texts.keep(corpus, folder / texts.FOLDER) for corpus in corpora]
    if twice := [name for name, count in Counter(found).items() if count > 1]:
        raise InputError(f"the text {twice[0]!r} is given twice: expected each once")
    if not found:
        raise InputError("no text to compare on: expected at least one")
    return found


def _draft(corpora: Sequence[str], config: CompareConfig, name: str) -> Plan:
    """The plan with one step for every run. Its name tells commands apart, so that each finds its own plan again."""
    recall = _recall(config)
    others = () if recall is None else (recall,)
    learnt: list[Experiment] = []
    for corpus in corpora:
        title = _unlike(corpus.rpartition("#")[0], [one.name for one in (*others, *learnt)])
        learnt.append(_of_text(corpus, title, config))
    experiments = (*learnt, *others)
    values = [config.budget_seconds, *(one.model_dump(mode="json") for one in experiments)]
    return Plan(
        name=f"{name}-{digest_of(values)[:8]}",
        question=_question(config, [one.name for one in learnt]),
        core_seconds=1,
        experiments=experiments,
    )


def _of_text(corpus: str, name: str, config: CompareConfig) -> Experiment:
    task: TaskValues = {"name": "text", "corpus": corpus, "window": config.window, "part": "fitted"}
    return Experiment(
        name=name,
        protocol=OfText(task=task, contexts=False, written=config.written),
        arms=dict.fromkeys(config.cells, ("uniform",)),
        seeds=(config.seed,),
        parameters=config.parameters or _reference(corpus, config),
        embedding_size=config.embedding_size,
        lr=config.lr,
        final_fraction=0.05,
        batch_size=config.batch_size,
        steps=1,
        stop_at="off",
    )


def _reference(corpus: str, config: CompareConfig) -> int:
    """The parameters of an LSTM of 160 units on this text."""
    size = read_text(corpus).tokenizer.vocab_size
    lstm = Architecture(cell="lstm", init="uniform", embedding_size=config.embedding_size)
    return parameter_count(network_for(lstm, Sizes(input_size=size, output_size=size), _REFERENCE_HIDDEN))


def _quick() -> Experiment:
    return load_plan("quick").experiments[0]


def _recall(config: CompareConfig) -> Experiment | None:
    if not config.recall:
        return None
    quick = _quick()
    arms = {cell: inits for cell, inits in quick.arms.items() if cell in config.cells}
    return quick.model_copy(update={"arms": arms, "steps": 1})


def _unlike(name: str, taken: Sequence[str]) -> str:
    """A name of an experiment that is not taken yet."""
    short, number = name[:70], 1
    while (found := short if number == 1 else f"{short} ({number})") in taken:
        number += 1
    return found


def _question(config: CompareConfig, names: Sequence[str]) -> str:
    cells = _listed([cell.upper() for cell in config.cells])
    do, each = ("do", "each") if len(config.cells) > 1 else ("does", "it")
    held = f", and how long can {each} be taught to hold a symbol" if config.recall else ""
    return f"How well {do} {cells} learn {_listed(names)}{held}?"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _fitted(draft: Plan, costs: Costs, seconds: float, workers: int, config: CompareConfig) -> Plan:
    """The draft with steps that fit, what was chosen in its notes, and core-seconds for slower machines too."""
    recall = _recall(config)
    held = () if recall is None else (recall.name,)
    learnt = tuple(one.name for one in draft.experiments if one.name not in held)
    parts = [Part(learnt, _TEXT_FRACTION if held else 1.0, _MOST_STEPS, _WRITING_SECONDS * costs.slowdown)]
    parts += [Part(held, 1.0, _given(_quick()), _LOOKING_SECONDS * costs.slowdown)] if held else []
    plan = fitted(draft, parts, costs, seconds, workers)
    predicted = sum(bill.predicted for bill in bills(plan, agenda(plan, {}), costs))
    return plan.model_copy(
        update={
            "notes": _chosen(plan, config, learnt[0], held, workers),
            "core_seconds": float(math.ceil(2 * max(predicted, config.budget_seconds * workers))),
        }
    )


def _chosen(plan: Plan, config: CompareConfig, text: str, held: Sequence[str], workers: int) -> str:
    """What was chosen to keep the time, in a sentence, and what follows from it."""
    steps = _given(plan.experiment(text))
    recall = "".join(f", and at most {_given(plan.experiment(name)):,} for each run of recall" for name in held)
    seeds = "".join(f", {len(plan.experiment(name).seeds)} seeds for recall" for name in held)
    processes = "1 process" if workers == 1 else f"{workers} processes"
    return _too_short(steps, config) + (
        f"To fit {config.budget_seconds:g} s on {processes}: {_counted(steps)} of {config.batch_size} windows of "
        f"{config.window - 1} characters for each model of a text{recall}. Indicative: one run for each cell on a "
        f"text{seeds}, nothing tuned. Nothing is claimed from it."
    )


def _too_short(steps: int, config: CompareConfig) -> str:
    """What to say first where models of a text get too few steps to learn from; empty where they don't."""
    if steps >= FEW_STEPS:
        return ""
    longer = rough_duration(config.budget_seconds * FEW_STEPS / steps)
    return (
        f"Too short: after {_counted(steps)} a model of a text has learnt too little for its bits to say anything of "
        f"the cells; {FEW_STEPS} would take about {longer}. "
    )


def _given(experiment: Experiment) -> int:
    assert experiment.steps is not None  # neither a comparison nor the plan `quick` leaves them to measured times
    return experiment.steps


def _counted(steps: int) -> str:
    return "1 step" if steps == 1 else f"{steps:,} steps"


def _command(corpora: Sequence[Corpus], config: CompareConfig) -> str:
    """As it was given, with the last part of each text's name."""
    names = ["-" if corpus.name == STANDARD_INPUT else argument(Path(corpus.name).name) for corpus in corpora]
    words = ["longhold", "compare", *names, "--cells", ",".join(config.cells)]
    words += ["--budget", f"{config.budget_seconds:g}s"]
    words += [] if config.parameters is None else ["--parameters", str(config.parameters)]
    words += [] if config.encoding is None else ["--encoding", argument(config.encoding)]
    words += [] if config.recall else ["--no-recall"]
    return " ".join([*words, "--seed", str(config.seed)])
