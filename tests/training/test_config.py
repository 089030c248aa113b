"""Reading and checking a configuration."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longhold.errors import InputError
from longhold.training import TrainConfig, checked, load_config
from longhold.training.config import digest

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "steps": st.integers(1, 10**6),
        "batch_size": st.integers(1, 4096),
        "lr": st.floats(1e-6, 10),
        "optimizer": st.sampled_from(["sgd", "adamw"]),
        "clip_norm": st.floats(1e-3, 1e3) | st.just("off"),
        "schedule": st.sampled_from(["constant", "linear", "cosine", "one_cycle"]),
        "seed": st.integers(0, 2**32 - 1),
        "average_from": st.floats(0, 0.99) | st.just("off"),
        "patience": st.integers(1, 100) | st.just("none"),
        "checkpoint_seconds": st.floats(0.1, 1e4) | st.just("off"),
        "precision": st.sampled_from(["float32", "bfloat16"]),
    },
)


def toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def complaint_of(call: Callable[[], object]) -> str | None:
    try:
        call()
    except InputError as error:
        return str(error)
    return None


@given(FIELDS)
def test_what_is_written_in_toml_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("config") / "train.toml"
    path.write_text("\n".join(f"{name} = {toml(value)}" for name, value in values.items()))
    read = load_config(path)
    for name, value in values.items():
        assert getattr(read, name) == (None if value in ("off", "none") else value)
    assert read == load_config(overrides=values)
    assert TrainConfig(**read.model_dump()) == read


@given(FIELDS, FIELDS)
def test_overrides_win(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any], over: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("config") / "train.toml"
    path.write_text("\n".join(f"{name} = {toml(value)}" for name, value in values.items()))
    not_given = dict.fromkeys(values.keys() - over.keys())
    assert load_config(path, {**over, **not_given}) == load_config(overrides={**values, **over})


@given(st.text(st.characters(exclude_categories=[]), max_size=60))
def test_any_text_is_a_configuration_or_one_line(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("config") / "train.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    complaint = complaint_of(lambda: load_config(path))
    assert complaint is None or (str(path) in complaint and "\n" not in complaint)


@given(
    st.sampled_from(list(TrainConfig.model_fields)),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.lists(st.integers(), max_size=3),
)
def test_any_value_is_taken_or_named_in_one_line(name: str, value: object) -> None:
    complaint = complaint_of(lambda: checked(TrainConfig, {name: value}))
    assert complaint is None or (name in complaint and "\n" not in complaint)


@given(st.text(string.ascii_lowercase + "_", min_size=1).filter(lambda name: name not in TrainConfig.model_fields))
def test_an_unknown_key_is_named(name: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(overrides={name: 1})
    assert "unknown key" in str(caught.value)
    assert name[:50] in str(caught.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"batchsize": 3}, ["batchsize", "did you mean batch_size?"]),
        ({"learning_rate": 3}, ["learning_rate", "expected one of steps"]),
        ({"lr": -1}, ["lr=-1", "greater than 0"]),
        ({"lr": float("nan")}, ["lr=nan", "finite"]),
        ({"steps": 0}, ["steps=0", "greater than or equal to 1"]),
        ({"steps": 1.5}, ["steps=1.5", "integer"]),
        ({"optimizer": "adam"}, ["optimizer='adam'", "sgd"]),
        ({"betas": [0.9, 1.0]}, ["betas.1=1.0", "less than 1"]),
        ({"steps": 10, "warmup_steps": 11}, ["warmup_steps=11", "10 steps"]),
        ({"momentum": 0.9}, ["momentum=0.9", "optimizer='adamw'"]),
        ({"optimizer": "sgd", "betas": (0.5, 0.5)}, ["betas", "optimizer='sgd'"]),
        ({"final_fraction": 0.1}, ["final_fraction=0.1", "schedule='constant'"]),
        ({"patience": 2, "keep_best": False}, ["patience", "keep_best"]),
        ({"lr": 0, "steps": 0}, ["lr=0", "steps=0"]),
    ],
)
def test_errors_name_the_value_and_what_was_expected(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load_config(overrides=values)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_constructing_one_raises_the_same_error() -> None:
    with pytest.raises(InputError, match="lr=-1"):
        TrainConfig(lr=-1)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"lr = ", "expected a TOML file"), (b"\xff\xfe", "expected a TOML file"), (None, "cannot read")],
)
def test_unreadable_files(content: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_config(path)


def test_intervals_follow_the_length_of_the_run() -> None:
    assert TrainConfig(steps=100).evaluation_interval == 5
    assert TrainConfig(steps=7).evaluation_interval == 1
    assert TrainConfig(steps=100, evaluate_every=30).evaluation_interval == 30
    assert TrainConfig(steps=100).sample_interval == 10
    assert TrainConfig(steps=100, sample_every=1).sample_interval == 1


def test_the_plan_holds_what_decides_the_numbers() -> None:
    plain = TrainConfig()
    assert plain.plan() == TrainConfig(checkpoint_every=3, checkpoint_seconds=None, sample_every=9).plan()
    assert plain.plan() != TrainConfig(seed=1).plan()
    assert (
        digest({"a": 1, "b": [2.0, None]}) == digest({"b": [2.0, None], "a": 1}) != digest({"a": 1, "b": [2.5, None]})
    )
