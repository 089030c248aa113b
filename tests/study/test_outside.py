"""A task and an architecture that another package adds by entry points."""

import textwrap
from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.models.network import Architecture
from longhold.study.trial.trial import run_trial
from longhold.tasks import task_from_json
from tests.study.tiny import spec

MODULE = '''
import torch
from dataclasses import dataclass
from typing import ClassVar, Literal
from torch import nn
from longhold.models import SequenceModel
from longhold.models.model_config import ModelConfig
from longhold.tasks import Task, TaskBatch


@dataclass(frozen=True)
class Echo(Task):
    """The input itself is the answer."""

    name: ClassVar[str] = "mirror"
    length = 5
    input_size = output_size = 3
    chance = 1 / 3

    def sample_batch(self, generator, batch_size):
        ids = torch.randint(3, (5, batch_size), generator=generator)
        return TaskBatch(ids, ids.clone(), torch.ones(5, batch_size, dtype=torch.bool))


class NoMemoryConfig(ModelConfig):
    """An embedding and a linear map."""

    cell: Literal["nomemory"] = "nomemory"
    init: str = "uniform"
    input_size: int
    output_size: int
    continuous: bool = False

    def build(self, *, device=None, dtype=None):
        return NoMemory(self, device, dtype)


class NoMemory(SequenceModel):
    """No state at all."""

    def __init__(self, config, device, dtype):
        super().__init__()
        self.embedding = nn.Embedding(config.input_size, config.hidden_size, device=device, dtype=dtype)
        self.output = nn.Linear(config.hidden_size, config.output_size, device=device, dtype=dtype)

    def initial_state(self, batch):
        return self.output.weight.new_zeros(1, batch, 0)

    def forward(self, inputs, state=None, reset=None):
        return self.output(self.embedding(inputs)), self.initial_state(inputs.shape[1])
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside_of_longhold.py").write_text(MODULE)
    info = tmp_path / "outside_of_longhold-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-of-longhold\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        textwrap.dedent("""\
            [longhold.tasks]
            mirror = outside_of_longhold:Echo
            other_name = outside_of_longhold:Echo

            [longhold.networks]
            nomemory = outside_of_longhold:NoMemoryConfig
            nonsense = outside_of_longhold:nn
            """)
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("package")
def test_both_run_in_a_study() -> None:
    task = task_from_json({"name": "mirror"}).to_json()
    row = run_trial(
        spec(task=task, tests=(task,), vary=None, level=None, protocol="plain", cell="nomemory", steps=60, lr=0.1)
    )
    assert row.solved
    assert row.spec.arm == "nomemory uniform"
    assert row.parameters == 3 * 12 + 12 * 3 + 3
    assert row.state_bytes == 0


@pytest.mark.usefixtures("package")
def test_what_does_not_keep_its_word_is_refused() -> None:
    with pytest.raises(InputError, match=r"other_name of longhold\.tasks is .*: expected a Task whose name is"):
        task_from_json({"name": "other_name"})
    with pytest.raises(InputError, match=r"nonsense of longhold.networks is"):
        Architecture(cell="nonsense")
    with pytest.raises(InputError, match=r"expected one of .*echo, nomemory, nonsense"):
        Architecture(cell="nobody")
    with pytest.raises(InputError, match=r"expected one of .*mirror, other_name"):
        task_from_json({"name": "nobody"})


def test_without_the_package_there_is_neither() -> None:
    with pytest.raises(InputError, match=r"nomemory"):
        Architecture(cell="nomemory")
