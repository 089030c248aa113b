"""Plans: what is compared under which budget, written down before it runs, as a TOML file."""

from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias, final

from pydantic import Field, model_validator

from longhold.config import Config
from longhold.documents import read_toml
from longhold.errors import InputError
from longhold.study.claims import Family, Question
from longhold.study.claims import Tuning as DeclaredTuning
from longhold.study.plan.protocols import Protocol, TestSpec
from longhold.study.plan.search import Search
from longhold.study.plan.tuning import Seeds, Setting, Timing, Tuning
from longhold.study.rows.spec import Arm, Stage, TrialSpec, takes_lag
from longhold.study.text.task import require_modest
from longhold.study.text.texts import FOLDER, look_in
from longhold.study.trial.trial import network

_OWN_EMBEDDING = ("rnn", "irnn", "gru", "lstm")  # where the width of the embedding is left open

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\n]*$")]


@final
class Experiment(Config):
    """Arms that are compared on one task under one protocol; every run gets the same of everything but its arm's."""

    name: Name
    """What it is called in rows."""
    protocol: Protocol
    """What is trained and tested."""
    arms: Annotated[dict[str, Annotated[tuple[str, ...], Field(min_length=1)]], Field(min_length=1)]
    """Cells, each with its initializations. `chrono` alone is given the length of the longest training sequence."""
    seeds: Seeds
    """Seeds of the runs that are reported."""
    truncations: Annotated[tuple[Annotated[int, Field(ge=1)] | Literal["full"], ...], Field(min_length=1)] = ("full",)
    """Steps over which gradients go back, crossed with the arms: see `TrialSpec.truncation`; "full": all of them."""
    hidden_size: Annotated[int, Field(ge=1)] | None = None
    """Units of every model; or else `parameters` or `flops`."""
    parameters: Annotated[int, Field(ge=1)] | None = None
    """Trainable numbers of every model, for which the units are solved."""
    flops: Annotated[int, Field(ge=1)] | None = None
    """Floating-point operations of one step of one sequence, forward, for which the units of every model are solved."""
    num_layers: Annotated[int, Field(ge=1)] | None = None
    """Layers; None: what each architecture has by itself."""
    embedding_size: Annotated[int, Field(ge=1)] | None = None
    """Width of the learned vector for an id, in `rnn`, `irnn`, `gru` and `lstm`; None: one-hot."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """The update rule."""
    lr: Annotated[float, Field(gt=0)] | None = None
    """Learning rate of every run; or else `tuning` or `search`."""
    tuning: Tuning | None = None
    """How each arm gets a learning rate of its own."""
    search: Search | None = None
    """How each arm gets values of its own in several dimensions."""
    final_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Learning rate of the last step allowed, as a proportion of the first; between them half a cosine. 1: constant."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest total 2-norm of the gradients."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Fresh sequences in each step."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps after which a run ends; or else `training_seconds`."""
    training_seconds: Annotated[float, Field(gt=0)] | None = None
    """Processor time of a run's training, equal for every arm and level; its steps follow from measured ones."""
    timing: Timing | None = None
    """How steps are measured where `training_seconds` decides; None: as `Timing` says by itself."""
    stop_at: Annotated[float, Field(gt=0, le=1)] | Literal["off"] = 0.97
    """A run ends early when its own new batches are answered with this recall; "off": never."""
    test_sequences: Annotated[int, Field(ge=1000)] = 1024
    """Fresh sequences in each test."""
    shuffled_labels: bool = False
    """The control: in training, the answers of a batch are permuted among its sequences."""
    expected_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The proportion of the steps allowed, over all runs, that is expected to be used; from earlier runs. It only
    enters the predicted cost."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for names in (
            ("hidden_size", "parameters", "flops"),
            ("lr", "tuning", "search"),
            ("steps", "training_seconds"),
        ):
            if sum(getattr(self, name) is not None for name in names) != 1:
                raise ValueError(f"{self.name}: expected one of {', '.join(names[:-1])} and {names[-1]}")
        for name in ("seeds", "truncations"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"{self.name}: {name}={list(given)}: expected each once")
        if self.timing is not None and self.training_seconds is None:
            raise ValueError(
                f"{self.name}: timing without training_seconds: expected steps to be measured for a reason"
            )
        self._can_be_tuned()
        sizes = {
            (test_spec.task.input_size, test_spec.task.output_size): test_spec
            for test_spec in self.protocol.test_specs()
        }
        for arm in self.every_arm():
            for test_spec in sizes.values():
                network(self.spec("check", arm, test_spec, self.seeds[0], self.some_setting))
        self.protocol.require_text()
        return self

    def _can_be_tuned(self) -> None:
        choice = self.tuning or self.search
        if choice is None:
            return
        if both := set(self.seeds) & set(choice.seeds):
            raise ValueError(f"{self.name}: seed {min(both)} tunes and is reported: expected seeds of their own")
        self.tuning_test_spec()
        if self.search is None:
            return
        if self.training_seconds is not None:
            raise ValueError(
                f"{self.name}: search and training_seconds: expected steps, since sizes may differ by trial"
            )
        others = sorted(set(self.arms) - set(_OWN_EMBEDDING))
        if self.search.embedding_size is not None and (others or self.embedding_size is not None):
            found = f"{others[0]} has none of its own" if others else f"embedding_size={self.embedding_size} is given"
            raise ValueError(f"{self.name}: embedding_size is searched, but {found}: expected the same space for all")

    def every_arm(self) -> tuple[Arm, ...]:
        """Cell, initialization and truncation of each arm."""
        cut = [None if steps == "full" else steps for steps in self.truncations]
        return tuple(Arm(cell, init, steps) for cell, inits in self.arms.items() for init in inits for steps in cut)

    def labels(self) -> tuple[str, ...]:
        """The arms as rows name them."""
        return tuple(arm.label for arm in self.every_arm())

    @property
    def some_setting(self) -> Setting:
        """What every run has, or the middle where it is to be tuned."""
        if self.search is not None:
            return self.search.middle
        return Setting(self.tuning.grid[len(self.tuning.grid) // 2] if self.tuning else self.lr or 0.0)

    @property
    def timing_of(self) -> Timing:
        """How steps are measured."""
        return self.timing or Timing()

    def tuning_test_spec(self) -> TestSpec:
        """The test_spec at which arms are tuned.

        Raises:
            InputError: the plan names none, or none that there is.
        """
        test_specs = {test_spec.level: test_spec for test_spec in self.protocol.test_specs()}
        choice = self.tuning or self.search
        level = choice.level if choice else None
        if level not in test_specs:
            raise InputError(f"{self.name}: tuning at level={level}: expected one of {list(test_specs)}")
        return test_specs[level]

    def spec(
        self, plan: str, arm: Arm, test_spec: TestSpec, seed: int, setting: Setting, stage: Stage = "result"
    ) -> TrialSpec:
        """One run. Where `training_seconds` decides and no step is measured yet, its `steps` stand for nothing."""
        embedded = arm.cell in _OWN_EMBEDDING and not test_spec.task.continuous
        return TrialSpec(
            plan=plan,
            experiment=self.name,
            stage=stage,
            protocol=self.protocol.name,
            cell=arm.cell,
            init=arm.init,
            truncation=arm.truncation,
            told=test_spec.task.length if takes_lag(arm.init) else None,
            num_layers=self.num_layers,
            embedding_size=(setting.embedding_size or self.embedding_size) if embedded else None,
            hidden_size=self.hidden_size,
            parameters=self.parameters,
            flops=self.flops,
            task=test_spec.task.to_json(),
            tests=tuple(test.to_json() for test in test_spec.tests),
            examine=test_spec.examine,
            probed=test_spec.probed,
            pairs=test_spec.pairs,
            contexts=test_spec.contexts,
            written=test_spec.written,
            vary=self.protocol.varies,
            level=test_spec.level,
            optimizer=self.optimizer,
            lr=setting.lr,
            final_fraction=self.final_fraction,
            clip_norm=setting.clip_norm or self.clip_norm,
            trial=setting.trial,
            batch_size=self.batch_size,
            steps=self.timing_of.steps if stage == "timing" else self.steps or setting.steps(self.training_seconds),
            training_seconds=None if stage == "timing" else self.training_seconds,
            step_seconds=setting.step_seconds,
            stop_at=None if self.stop_at == "off" or stage == "timing" else self.stop_at,
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
    """Its budget: processor time, over all workers. A plan that is predicted to take more does not start."""
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
            raise InputError("family: tuning follows from the experiments, expected none here")
        compared = [e for e in self.experiments if any(_is_about(q, e) for q in self.family.questions)]
        tunings = {_declared_tuning(e) for e in compared}
        if len(tunings) > 1:
            raise InputError(
                "family: its experiments are not tuned alike: expected one grid or search and number of seeds for all"
            )
        return self.family.model_copy(update={"tuning": tunings.pop()})

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


def _declared_tuning(experiment: Experiment) -> DeclaredTuning | None:
    if experiment.tuning is not None:
        return DeclaredTuning(learning_rates=experiment.tuning.grid, seeds=len(experiment.tuning.seeds))
    search = experiment.search
    if search is None:
        return None
    return DeclaredTuning(
        learning_rates=search.lr, seeds=len(search.seeds), trials=search.trials, dimensions=search.dimensions
    )


def _is_about(question: Question, experiment: Experiment) -> bool:
    """Whether a question is put to rows of an experiment."""
    protocol = experiment.protocol
    return (
        (question.task, question.protocol) == (protocol.test_specs()[0].task.name, protocol.name)
        and {question.a, question.b} <= set(experiment.labels())
        and set(question.levels) <= {test_spec.level for test_spec in protocol.test_specs()}
        and all(_fields(experiment).get(name) == value for name, value in question.where.items())
    )


def _fields(experiment: Experiment) -> dict[str, object]:
    """What every run of an experiment says of itself."""
    return {**experiment.model_dump(mode="json"), **experiment.protocol.test_specs()[0].task.to_json()}


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
        values = read_toml(path)
        for corpus in _corpora(values):  # before anything is read to see whether the plan can be
            require_modest(corpus)
        return Plan(**values)  # type: ignore[arg-type]
    except InputError as error:
        raise InputError(f"{path.name}: {str(error).removeprefix(f'{path}: ')}") from None


def _corpora(values: object) -> Iterator[str]:
    """What a plan's table names as a corpus, wherever that stands."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield from (str(value),) if name == "corpus" else _corpora(value)
    elif isinstance(values, list):
        for value in values:
            yield from _corpora(value)


def _shipped_files() -> Iterator[Path]:
    return Path(str(resources.files("longhold.study.plan"))).joinpath("shipped").glob("*.toml")
