"""Plans written as TOML and read back."""

import tomllib
from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.study.plan.file import plan_toml, write_plan
from longhold.study.plan.plan import load_plan
from tests.study.tiny import experiment, plan


@pytest.mark.parametrize("name", ["quick", "standard"])
def test_a_shipped_plan_is_written_as_it_is(name: str) -> None:
    known = load_plan(name)
    assert tomllib.loads(plan_toml(known)) == known.model_dump(mode="json", exclude_none=True)


HOSTILE = 'quote " back \\ line \n tab \t del \x7f bell \x07 next \x85 smile \U0001f600 汉 # = [x] \'\'\' """'


def test_text_of_any_kind_survives(tmp_path: Path) -> None:
    made = plan(experiment(name=HOSTILE.replace("\n", " ")), question=HOSTILE, notes=HOSTILE, core_seconds=1e-7)
    write_plan(made, tmp_path / "copy.toml")
    read = load_plan(str(tmp_path / "copy.toml"))
    assert read == made
    assert read.notes == HOSTILE


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing was written"):
        write_plan(plan(), tmp_path / "missing" / "plan.toml")
