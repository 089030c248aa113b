"""A person's own texts in a study: what rows call them, where they lie, and what happens when they do not."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from longhold.data import Corpus
from longhold.errors import InputError
from longhold.study.plan.file import write_plan
from longhold.study.plan.plan import load_plan
from longhold.study.text import texts
from longhold.study.text.task import TextTask, read_text
from longhold.study.trial.trial import run_trial
from tests.study.tiny import experiment, plan, row, spec

POEM = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n" * 60


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No folder is known, and nothing read before is remembered."""
    monkeypatch.setattr(texts, "_folders", [])
    monkeypatch.delenv(texts.VARIABLE, raising=False)
    read_text.cache_clear()
    yield
    read_text.cache_clear()


def corpus(name: str = "poem.txt", text: str = POEM) -> Corpus:
    return Corpus(name, text, "gb18030", 1, ())


def test_a_text_is_called_by_its_name_and_digest_and_read_back_to_the_letter(tmp_path: Path) -> None:
    name = texts.keep(corpus(), tmp_path / "new" / "texts")
    assert name == f"poem.txt#{hashlib.sha256(POEM.encode()).hexdigest()[:16]}"
    assert texts.is_own(name)
    assert texts.read_own(name) == POEM
    assert texts.keep(corpus(), tmp_path / "new" / "texts") == name
    assert [path.name for path in (tmp_path / "new" / "texts").iterdir()] == [f"{name[-16:]}.txt"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/home/me/diary/*.txt", "*.txt"),
        ("C:\\Users\\me\\diary.txt", "diary.txt"),
        ("notes/", "notes"),
        ("two\nlines", "two lines"),
        ("a#b.txt", "a#b.txt"),
        ("standard input", "standard input"),
        ("caf\udce9.txt", "caf\\udce9.txt"),
        ("/", "text"),
    ],
)
def test_no_folder_and_nothing_that_steers_gets_into_a_row(tmp_path: Path, given: str, kept: str) -> None:
    name = texts.keep(corpus(given), tmp_path)
    assert name.rpartition("#")[0] == kept
    assert texts.read_own(name) == POEM


@pytest.mark.parametrize("name", ["timemachine", "a#b.txt", "book.txt#0123", "book.txt#0123456789ABCDEF"])
def test_other_names_are_not_taken_for_own_texts(name: str) -> None:
    assert not texts.is_own(name)


def test_a_text_that_is_not_at_hand_or_was_changed_is_refused_in_a_line(tmp_path: Path) -> None:
    name = texts.keep(corpus(), tmp_path)
    (tmp_path / f"{name[-16:]}.txt").write_text("another", encoding="utf-8")
    for asked in (name, "gone.txt#0123456789abcdef"):
        with pytest.raises(InputError, match=f"{asked[-16:]}.txt") as found:
            texts.read_own(asked)
        assert "not at hand" in str(found.value)
        assert "\n" not in str(found.value)
    texts.keep(corpus(), tmp_path)
    assert texts.read_own(name) == POEM


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="cannot make the folder"):
        texts.keep(corpus(), tmp_path / "file" / "texts")


def test_the_task_is_trained_and_tested_on_its_parts(tmp_path: Path) -> None:
    task = TextTask(texts.keep(corpus(), tmp_path), 9)
    assert task.text.before + task.text.after == POEM
    assert task.text.tokenizer.decode(task.text.held_out) == task.text.after
    batch = task.examination.batch_at(0, 0, 5)
    assert all(task.text.tokenizer.decode(column) in task.text.after for column in batch.inputs.T)


def test_a_row_of_a_text_that_is_not_at_hand_is_refused_in_a_line(tmp_path: Path) -> None:
    task = TextTask(texts.keep(corpus(), tmp_path), 9)
    lone = spec(task=task.to_json(), tests=(task.examination.to_json(),), protocol="text", vary=None, level=None)
    texts._folders.clear()
    read_text.cache_clear()
    with pytest.raises(InputError, match=r"poem\.txt#.* is not at hand"):
        run_trial(lone)


def of_text(name: str) -> dict[str, object]:
    task = {"name": "text", "corpus": name, "window": 9}
    return experiment(protocol={"name": "text", "task": task, "contexts": False}, arms={"rnn": ["uniform"]}, seeds=[0])


def test_a_plan_finds_the_texts_that_lie_beside_it(tmp_path: Path) -> None:
    name = texts.keep(corpus(), tmp_path / "there" / texts.FOLDER)
    write_plan(plan(of_text(name)), tmp_path / "there" / "plan.toml")
    (tmp_path / "alone.toml").write_bytes((tmp_path / "there" / "plan.toml").read_bytes())
    texts._folders.clear()
    read_text.cache_clear()
    with pytest.raises(InputError, match=r"alone\.toml: .*not at hand"):
        load_plan(str(tmp_path / "alone.toml"))
    assert load_plan(str(tmp_path / "there" / "plan.toml")).experiments[0].protocol.task["corpus"] == name
    assert load_plan(str(tmp_path / "alone.toml")) == load_plan(str(tmp_path / "there" / "plan.toml"))


def test_rows_can_be_read_where_the_text_is_not(tmp_path: Path) -> None:
    name = texts.keep(corpus(), tmp_path)
    task = TextTask(name, 9).to_json()
    made = row(spec(task=task, tests=(task,), protocol="text", vary=None, level=None))
    texts._folders.clear()
    read_text.cache_clear()
    assert type(made).from_json(made.to_json()) == made


def test_folders_are_told_to_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(texts.VARIABLE, str(tmp_path / "one"))
    texts.look_in(tmp_path / "two")
    assert texts.environment() == {texts.VARIABLE: os.pathsep.join(str(tmp_path / part) for part in ("two", "one"))}
