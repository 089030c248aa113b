"""Plans: what is compared under which budget, written down before it runs, as a TOML file."""

from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, final

from pydantic import Field, model_validator

from longhold.errors import InputError
from longhold.models.config import Config
from longhold.study.claims import Family, Question
from longhold.study.claims import Tuning as ToldTuning
from longhold.study.protocols import Exam, Protocol
from longhold.study.row import Seed, Stage, TrialSpec, arm_label, is_told
from longhold.study.texts import FOLDER, look_in
from longhold.study.trial import network
from longhold.training.config import read_toml

LEAST_RATES = 5
"""Learning rates in a tuning grid."""

_OWN_EMBEDDING = ("rnn", "irnn", "gru", "lstm")  # where the width of the embedding is left open

Seeds: TypeAlias = Annotated[tuple[Seed, ...], Field(min_length=1)]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\n]*$")]


@final
class Tuning(Config):
    """How each arm gets its learning rate: the same grid for all, on seeds that are used for nothing else.

    The rate with which most seeds solve wins; then the one with the fewest steps, then the one with the best recall,
    then the smaller. Nothing is pruned. A winner at an edge of the grid widens the grid for its arm by one more rate
    beyond that edge.
    """

    grid: tuple[Annotated[float, Field(gt=0)], ...]
    """Rising, evenly spaced by factors, at least 5."""
    seeds: Seeds
    """Tuning seeds."""
    level: int | None = None
    """The exam at which it is tuned, by its level; None where there is only one exam."""
    widen: Annotated[int, Field(ge=0)] = 2
    """How many rates may be added for an arm."""

    @model_validator(mode="after")
    def _is_a_grid(self) -> Self:
        factors = [after / before for before, after in zip(self.grid, self.grid[1:], strict=False)]
        if len(self.grid) < LEAST_RATES or min(factors) <= 1 or max(factors) > 1.15 * min(factors):
            raise ValueError(
                f"grid={list(self.grid)}: expected at least {LEAST_RATES} rising rates, evenly spaced by factors"
            )
        return self

    @property
    def factor(self) -> float:
        """From one rate of the grid to the next."""
        return float((self.grid[-1] / self.grid[0]) ** (1 / (len(self.grid) - 1)))


@final
class Experiment(Config):
    """Arms that are compared on one task under one protocol; every run gets the same of everything but its arm's."""

    name: Name
    """What it is called in rows."""
    protocol: Protocol
    """What is trained and tested."""
    arms: Annotated[dict[str, Annotated[tuple[str, ...], Field(min_length=1)]], Field(min_length=1)]
    """Cells, each with its initialisations. `chrono` alone is told the longest sequence in training."""
    seeds: Seeds
    """Seeds of the runs that are reported."""
    hidden_size: Annotated[int, Field(ge=1)] | None = None
    """Units of every model; or else `parameters`."""
    parameters: Annotated[int, Field(ge=1)] | None = None
    """Trainable numbers of every model, for which the units are solved."""
    num_layers: Annotated[int, Field(ge=1)] | None = None
    """Layers; None: what each architecture has by itself."""
    embedding_size: Annotated[int, Field(ge=1)] | None = None
    """Width of the learned vector for an id, in `rnn`, `irnn`, `gru` and `lstm`; None: one-hot."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """The update rule."""
    lr: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of every run; or else `tuning`."""
    tuning: Tuning | None = None
    """How each arm gets a learning rate of its own."""
    final_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Learning rate of the last step allowed, as a share of the first; between them half a cosine. 1: constant."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest total 2-norm of the gradients."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Fresh sequences in each step."""
    steps: Annotated[int, Field(ge=1)]
    """Optimizer steps after which a run ends."""
    stop_at: Annotated[float, Field(gt=0, le=1)] | Literal["off"] = 0.97
    """A run ends early when its own new batches are answered with this recall; "off": never."""
    test_sequences: Annotated[int, Field(ge=1000)] = 1024
    """Fresh sequences in each test."""
    shuffled_labels: bool = False
    """The control: in training, the answers of a batch are dealt out among its sequences."""
    expected_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of the steps allowed, over all runs, that is expected to be used; from earlier runs. It only enters the
    predicted cost."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.hidden_size is None) == (self.parameters is None):
            raise ValueError(f"{self.name}: expected one of hidden_size and parameters")
        if (self.lr is None) == (self.tuning is None):
            raise ValueError(f"{self.name}: expected one of lr and tuning")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"{self.name}: seeds={list(self.seeds)}: expected each once")
        if self.tuning is not None:
            if both := set(self.seeds) & set(self.tuning.seeds):
                raise ValueError(f"{self.name}: seed {min(both)} tunes and is reported: expected seeds of their own")
            self.tuning_exam()
        sizes = {(exam.task.input_size, exam.task.output_size): exam for exam in self.protocol.exams()}
        for cell, init in self.arm_names():
            for exam in sizes.values():
                network(self.spec("check", cell, init, exam, self.seeds[0], self.some_rate))
        return self

    def arm_names(self) -> tuple[tuple[str, str], ...]:
        """Cell and initialisation of each arm."""
        return tuple((cell, init) for cell, inits in self.arms.items() for init in inits)

    def labels(self) -> tuple[str, ...]:
        """The arms as rows name them."""
        return tuple(arm_label(cell, init) for cell, init in self.arm_names())

    @property
    def some_rate(self) -> float:
        """The learning rate, or the middle of the grid where it is to be tuned."""
        if self.tuning is not None:
            return self.tuning.grid[len(self.tuning.grid) // 2]
        assert self.lr is not None  # `_is_complete` asks for one of the two
        return self.lr

    def tuning_exam(self) -> Exam:
        """The exam at which learning rates are tuned.

        Raises:
            InputError: the plan names none, or none that there is.
        """
        exams = {exam.level: exam for exam in self.protocol.exams()}
        level = self.tuning.level if self.tuning else None
        if level not in exams:
            raise InputError(f"{self.name}: tuning at level={level}: expected one of {list(exams)}")
        return exams[level]

    def spec(
        self, plan: str, cell: str, init: str, exam: Exam, seed: int, lr: float, stage: Stage = "result"
    ) -> TrialSpec:
        """One run."""
        return TrialSpec(
            plan=plan,
            experiment=self.name,
            stage=stage,
            protocol=self.protocol.name,
            cell=cell,
            init=init,
            told=exam.task.length if is_told(init) else None,
            num_layers=self.num_layers,
            embedding_size=self.embedding_size if cell in _OWN_EMBEDDING and not exam.task.continuous else None,
            hidden_size=self.hidden_size,
            parameters=self.parameters,
            task=exam.task.to_json(),
            tests=tuple(test.to_json() for test in exam.tests),
            examine=exam.examine,
            probed=exam.probed,
            pairs=exam.pairs,
            contexts=exam.contexts,
            written=exam.written,
            vary=self.protocol.varies,
            level=exam.level,
            optimizer=self.optimizer,
            lr=lr,
            final_fraction=self.final_fraction,
            clip_norm=self.clip_norm,
            batch_size=self.batch_size,
            steps=self.steps,
            stop_at=None if self.stop_at == "off" else self.stop_at,
            seed=seed,
            test_sequences=self.test_sequences,
            shuffled_labels=self.shuffled_labels,
        )


@final
class Plan(Config):
    """A study."""

    name: Name
    """What it is called."""
    question: str
    """What it is to answer, in a sentence."""
    notes: str = ""
    """What a reader of its results has to know."""
    core_seconds: Annotated[float, Field(gt=0)]
    """Its budget: processor time, over all workers. A plan that is predicted to take more is not begun."""
    experiments: Annotated[tuple[Experiment, ...], Field(min_length=1)]
    """What is run."""
    family: Family | None = None
    """What is compared and what was predicted, decided before the runs: one family for Holm's correction. Its `tuning`
    is left open, since the experiments tell it."""

    @model_validator(mode="after")
    def _names_what_it_has(self) -> Self:
        counts = Counter(experiment.name for experiment in self.experiments)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise ValueError(f"two experiments of the name {twice[0]!r}: expected each to have its own")
        for question in self.family.questions if self.family else ():
            _check(question, self.experiments)
        self.questions()
        return self

    def questions(self) -> Family | None:
        """The family, with how learning rates are chosen.

        Raises:
            InputError: the family tells of a tuning itself, or the experiments it asks about are not tuned alike.
        """
        if self.family is None:
            return None
        if self.family.tuning is not None:
            raise InputError("family: tuning is told by the experiments, expected none here")
        asked = [e for e in self.experiments if any(_is_about(q, e) for q in self.family.questions)]
        tunings = {None if e.tuning is None else (e.tuning.grid, len(e.tuning.seeds)) for e in asked}
        if len(tunings) > 1:
            raise InputError(
                "family: its experiments are not tuned alike: expected one grid and number of seeds for all"
            )
        chosen = tunings.pop()
        if chosen is None:
            return self.family
        return self.family.model_copy(update={"tuning": ToldTuning(learning_rates=chosen[0], seeds=chosen[1])})

    def experiment(self, name: str) -> Experiment:
        """The experiment of this name.

        Raises:
            InputError: there is none.
        """
        for experiment in self.experiments:
            if experiment.name == name:
                return experiment
        raise InputError(f"experiment {name!r}: expected one of {[experiment.name for experiment in self.experiments]}")

    def with_core_seconds(self, core_seconds: float | None) -> Self:
        """The plan with another budget; None leaves it."""
        return self if core_seconds is None else type(self)(**{**self.model_dump(), "core_seconds": core_seconds})


def _is_about(question: Question, experiment: Experiment) -> bool:
    """Whether a question is put to rows of an experiment."""
    protocol = experiment.protocol
    return (
        (question.task, question.protocol) == (protocol.exams()[0].task.name, protocol.name)
        and {question.a, question.b} <= set(experiment.labels())
        and set(question.levels) <= {exam.level for exam in protocol.exams()}
        and all(_told(experiment).get(name) == value for name, value in question.where.items())
    )


def _told(experiment: Experiment) -> dict[str, object]:
    """What every run of an experiment says of itself."""
    return {**experiment.model_dump(mode="json"), **experiment.protocol.exams()[0].task.to_json()}


def _check(question: Question, experiments: tuple[Experiment, ...]) -> None:
    found = [experiment.name for experiment in experiments if _is_about(question, experiment)]
    if len(found) != 1:
        at = f" at {list(question.levels)}" if question.levels else ""
        where = f" where {question.where}" if question.where else ""
        raise InputError(
            f"question {question.name!r} asks about {question.a!r} and {question.b!r} in {question.task!r}{at}{where} "
            f"under {question.protocol!r}: expected one experiment that has it, found {len(found)}"
        )


def shipped() -> tuple[str, ...]:
    """The names of the plans that come with longhold."""
    return tuple(sorted(path.stem for path in _shipped_files()))


def questions() -> dict[str, tuple[str, float]]:
    """The question and the budget in core-seconds of each plan that comes with longhold; read, not checked."""
    tables = {path.stem: read_toml(path) for path in sorted(_shipped_files())}
    return {name: (str(table["question"]), float(str(table["core_seconds"]))) for name, table in tables.items()}


def load_plan(source: str) -> Plan:
    """A plan that comes with longhold, by its name, or one from a TOML file, whose own texts lie in `texts` beside it.

    Raises:
        InputError: there is no such plan, or something in it cannot be used; one line.
    """
    path = next((path for path in _shipped_files() if path.stem == source), Path(source))
    if path.suffix != ".toml":
        raise InputError(f"plan {source!r}: expected one of {', '.join(shipped())}, or a .toml file")
    if (path.parent / FOLDER).is_dir():
        look_in(path.parent / FOLDER)
    try:
        return Plan(**read_toml(path))  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{path.name}: {str(error).removeprefix(f'{path}: ')}") from None


def _shipped_files() -> Iterator[Path]:
    folder = Path(str(resources.files("longhold.study"))) / "plans"
    return folder.glob("*.toml")
