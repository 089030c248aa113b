import json

import pytest

from longhold.errors import InputError
from longhold.study.rows.row import COLUMNS, MEASURED, REPEATED, Row
from longhold.study.rows.spec import TrialSpec, digest_of
from tests.study.tiny import row, spec


def test_a_digest_names_what_is_said_and_not_how() -> None:
    assert digest_of({"a": 1, "b": [2, 3]}) == digest_of({"b": [2, 3], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
    assert spec().digest == TrialSpec(**json.loads(json.dumps(spec().model_dump(mode="json")))).digest


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"lr": 0.03},
        {"lag": 4},
        {"plan": "other"},
        {"stage": "tuning"},
        {"stop_at": None},
        {"steps": 151},
        {"truncation": 3},
        {"training_seconds": 9.0},
        {"step_seconds": 0.1},
        {"trial": 0},
        {"hidden_size": None, "flops": 9000},
    ],
)
def test_every_part_of_a_specification_counts(changes: dict[str, object]) -> None:
    assert spec(**changes).digest != spec().digest


def test_a_prior_that_was_told_the_lag_is_labelled_so() -> None:
    told = spec(init="chrono", told=5)
    assert told.arm == "lstm chrono (told the lag)"
    assert told.initialisation == "chrono:5"
    assert spec(init="chrono:99").arm == "lstm chrono:99"
    assert spec(init="chrono:99").initialisation == "chrono:99"


@pytest.mark.parametrize("changes", [{"parameters": 500}, {"hidden_size": None}, {"sed": 1}, {"test_sequences": 999}])
def test_a_specification_that_cannot_be_is_refused_in_a_line(changes: dict[str, object]) -> None:
    with pytest.raises(InputError) as refused:
        spec(**changes)
    assert "\n" not in str(refused.value)


def test_a_row_survives_json_and_knows_its_specification() -> None:
    made = row(spec())
    assert Row.from_json(json.loads(json.dumps(made.to_json()))) == made
    with pytest.raises(InputError, match="digest"):
        Row.from_json({**made.to_json(), "spec": spec(seed=7).model_dump(mode="json")})


@pytest.mark.parametrize("name", REPEATED)
def test_a_column_that_repeats_the_specification_is_there_and_is_its(name: str) -> None:
    values = row(spec()).to_json()
    assert values[name] == getattr(spec(), name)
    with pytest.raises(InputError, match=f"{name}='other' is not that of the row's spec"):
        Row.from_json({**values, name: "other"})
    del values[name]
    with pytest.raises(InputError, match=name):
        Row.from_json(values)


def test_columns_are_the_fields_of_a_row_and_what_they_repeat() -> None:
    assert set(Row.model_fields) | set(REPEATED) == set(COLUMNS)
    assert list(row(spec()).to_json()) == [name for name in COLUMNS if name != "writing"]


def test_two_runs_are_compared_without_what_was_measured() -> None:
    slow = row(spec(), seconds=99.0, core_seconds=98.0, machine="elsewhere", tokens_per_second=None)
    assert slow.result() == row(spec()).result()
    assert slow.result() != row(spec(), solved=False).result()
    assert set(slow.result()) == set(COLUMNS) - MEASURED - {"writing"}  # which only models of text have


def test_what_older_rows_lack_is_not_written_where_it_is_not_said() -> None:
    later = {"truncation", "flops", "training_seconds", "step_seconds", "trial"}
    assert not later & set(row(spec()).to_json()["spec"])
    assert spec(truncation=3).model_dump()["truncation"] == 3
    assert TrialSpec(**row(spec(truncation=3)).to_json()["spec"]) == spec(truncation=3)


def test_truncation_is_part_of_the_label() -> None:
    assert spec(init="chrono", told=5, truncation=8).arm == "lstm chrono (told the lag), truncated at 8"
