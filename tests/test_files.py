"""What may be written where: nothing that is there is lost, and a refusal is one line."""

from __future__ import annotations

import errno
import os
import shlex
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from longhold.errors import InputError
from longhold.files import (
    UNKNOWN,
    argument,
    atomic_write_bytes,
    beginning,
    make_folder,
    named_beside,
    quoted,
    replacing,
    require_folder,
    require_output,
    write_file,
)

OURS = beginning("one of ours", b"LH", b"<end>")
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def refusal(use: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        use()
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_what_begins_so_is_known_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content, known in ((b"LH..<end>..", True), (b"xLH<end>", False), (b"LH", False), (b"<end>LH", False)):
        path.write_bytes(content)
        assert OURS.knows(path) is known
    path.write_bytes(b"LH" + bytes(2000) + b"<end>")
    assert not OURS.knows(path)


def test_nothing_and_an_empty_file_and_one_of_the_kind_make_room(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for data in (b"LH 1 <end>", b"LH 2 <end>"):
        write_file(path, data, OURS)
        assert path.read_bytes() == data
    (tmp_path / "empty").touch()
    write_file(tmp_path / "empty", b"x", UNKNOWN)
    require_output(tmp_path / "b", OURS)
    require_folder(tmp_path / "new" / "deep", {"a": OURS})
    assert names(tmp_path) == ["a", "empty"]


def test_another_file_makes_room_only_if_wanted(tmp_path: Path) -> None:
    path = tmp_path / "thesis"
    path.write_bytes(b"forty years")
    for use in (
        lambda: require_output(path, OURS),
        lambda: write_file(path, b"LH<end>", OURS),
        lambda: require_folder(tmp_path, {"thesis": OURS}),
    ):
        line = refusal(use)
        assert line.startswith(f"{str(path)!r} is there already and is not one of ours; give another name")
        assert "--force" in line
        assert path.read_bytes() == b"forty years"
    assert "is there already; give" in refusal(lambda: require_output(path, UNKNOWN))
    require_output(path, OURS, overwrite=True)
    assert path.read_bytes() == b"forty years"
    write_file(path, b"LH<end>", OURS, overwrite=True)
    assert path.read_bytes() == b"LH<end>"


@pytest.mark.parametrize("way", ["itself", "hard link", "link", "link to the folder", "number"])
def test_what_is_read_is_never_written(tmp_path: Path, way: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"LH<end>")
    output = tmp_path / "output"
    with open(source, "rb") as file:
        if way == "hard link":
            output.hardlink_to(source)
        elif way == "link":
            output.symlink_to("source")
        elif way == "link to the folder":
            output.symlink_to(".")
            output = output / "source"
        else:
            output = source
        read = file.fileno() if way == "number" else source
        read_too = partial(require_output, output, OURS, inputs=["missing", read])
        for use in (read_too, partial(read_too, overwrite=True)):
            assert "it is what is read" in refusal(use)
    require_output(output, OURS, inputs=["missing", tmp_path])


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A device that nobody misses: a copy of the null device, or the end of a terminal where none may be made."""
    path = tmp_path / "device"
    ends = os.openpty()
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        path = Path(os.ttyname(ends[1]))
    yield path
    for end in ends:
        os.close(end)


def listening(path: Path) -> None:
    there = os.getcwd()
    os.chdir(path.parent)  # a socket's name may have some hundred bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(there)


STRANGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "FIFO": (os.mkfifo, "a FIFO"),
    "socket": (listening, "a socket"),
    "folder": (Path.mkdir, "a folder"),
    "link to nothing": (lambda path: path.symlink_to("gone"), "a link to 'gone', which is not there"),
    "link to no folder": (lambda path: path.symlink_to("no/such"), "a link to 'no/such', which is not there"),
    "link to itself": (lambda path: path.symlink_to(path.name), "too many levels"),
    "link to a folder": (lambda path: path.symlink_to("."), "a folder"),
}


def refused_and_as_it_was(path: Path, told: str) -> None:
    before = os.lstat(path)
    for use in (
        lambda: require_output(path, OURS, overwrite=True),
        lambda: write_file(path, b"", OURS, overwrite=True),
        lambda: atomic_write_bytes(path, b"x"),
    ):
        assert told in refusal(use)
    after = os.lstat(path)
    assert (after.st_ino, after.st_mode, after.st_rdev) == (before.st_ino, before.st_mode, before.st_rdev)


@pytest.mark.parametrize("strange", STRANGE)
def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path, strange: str) -> None:
    make, told = STRANGE[strange]
    make(tmp_path / "output")
    refused_and_as_it_was(tmp_path / "output", told)
    assert told in refusal(lambda: require_folder(tmp_path, {"output": OURS}, overwrite=True))
    assert names(tmp_path) == ["output"]


def test_a_device_is_never_replaced(tmp_path: Path, device: Path) -> None:
    refused_and_as_it_was(device, "that is a device")
    (tmp_path / "link").symlink_to(device)
    refused_and_as_it_was(tmp_path / "link", "that is a device")


PLACES = {
    "below a file": "file/output",
    "below a missing folder": "no/such/output",
    "a name of 300 bytes": "x" * 300,
    "a name of 100 characters and 300 bytes": "字" * 100,
    "a path too long": "/".join(["y" * 200] * 30),
    "a NUL": "a\0b",
    "a folder's name": "new/",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_takes_no_file_is_known_before(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_bytes(b"LH<end>")
    path = f"{tmp_path}/{PLACES[place]}"
    assert refusal(lambda: require_output(path, OURS, overwrite=True)).startswith("cannot save '")
    with pytest.raises(InputError), replacing(path) as file:
        file.write(b"x")
    assert names(tmp_path) == ["file"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system has no /proc")
def test_a_folder_that_takes_no_files(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    for place in (Path("/proc"), tmp_path / "link"):
        assert "cannot save" in refusal(partial(require_output, place / "longhold", OURS))
        assert "cannot write in the folder" in refusal(partial(require_folder, place, {}))
        assert "cannot make the folder" in refusal(partial(require_folder, place / "longhold", {}))


@pytest.mark.parametrize(("refused", "made"), [(errno.EACCES, True), (errno.EPERM, False)])
def test_what_the_system_refuses_is_known_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: int, made: bool
) -> None:
    """A folder without write permission, which root would not notice, and a file that is marked immutable."""
    path = tmp_path / "a"
    path.write_bytes(b"LH<end>")
    really = os.open

    def refusing(name: str, flags: int, mode: int = 0o777) -> int:
        if bool(flags & os.O_CREAT) is made:
            raise PermissionError(refused, os.strerror(refused))
        return really(name, flags, mode)

    monkeypatch.setattr(os, "open", refusing)
    said = os.strerror(refused).lower()
    assert refusal(lambda: require_output(path, OURS)) == f"cannot save {str(path)!r}: {said}"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("folder", ["file", "file/deep", "x" * 300, "a/" + "x" * 300, "gone", "FIFO"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_bytes(b"LH<end>")
    (tmp_path / "gone").symlink_to("nothing")
    os.mkfifo(tmp_path / "FIFO")
    before = names(tmp_path)
    for use in (lambda: require_folder(tmp_path / folder, {}), lambda: make_folder(tmp_path / folder)):
        assert refusal(use).startswith("cannot make the folder '")
    assert [name for name in names(tmp_path) if name != "a"] == before


def test_folders_above_are_made_only_where_that_is_meant(tmp_path: Path) -> None:
    refusal(lambda: require_folder(tmp_path / "a" / "b", {}, parents=False))
    require_folder(tmp_path / "a", {}, parents=False)
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_mode_and_owner_stay(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"LH old <end>")
    owner = (1234, 4321) if ROOT else (os.getuid(), os.getgid())
    os.chown(path, *owner)
    path.chmod(mode)
    seen = []
    with replacing(path) as file:
        file.write(b"LH<end>")
        (temporary,) = tmp_path.glob(".longhold-*.tmp")
        seen.append(stat.S_IMODE(temporary.stat().st_mode))
    after = path.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (mode, *owner)
    assert seen == [0o600]


def test_a_group_that_cannot_be_kept_gets_no_rights_that_others_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(descriptor: int, user: int, group: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchown", refused)
    path = tmp_path / "a"
    for before, after in ((0o664, 0o644), (0o640, 0o600), (0o660, 0o600), (0o755, 0o755)):
        path.write_bytes(b"LH old <end>")
        path.chmod(before)
        write_file(path, b"LH<end>", OURS)
        assert stat.S_IMODE(path.stat().st_mode) == after


def test_a_new_file_has_ordinary_permissions_and_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    atomic_write_bytes(tmp_path / "file", b"one")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "file")]
    assert modes[0] == modes[1]
    (tmp_path / "link").symlink_to("file")
    atomic_write_bytes(tmp_path / "link", b"two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"two"


def test_a_folder_is_as_private_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(0o600)
    (tmp_path / "known").touch()
    (tmp_path / "known").chmod(0o644)
    make_folder(tmp_path / "private", like=tmp_path / "secret")
    make_folder(tmp_path / "open", like=tmp_path / "known")
    make_folder(tmp_path / "usual", like=tmp_path / "missing")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) & 0o077 for name in ("private", "open", "usual")]
    umask = os.umask(0)
    os.umask(umask)
    assert modes == [0, 0o055 & ~umask, 0o077 & ~umask]


def test_failure_or_interrupt_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    atomic_write_bytes(path, b"old")
    for raised, caught in (
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), InputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):

        def stopped(descriptor: int, raised: BaseException = raised) -> None:
            raise raised

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", stopped)
            with pytest.raises(caught) as found:
                atomic_write_bytes(path, b"new")
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["a"]
        if caught is InputError:
            assert str(found.value) == (
                f"cannot save {str(path)!r}: no space left on device; the previous file is untouched"
            )


def test_a_name_out_of_a_file_leads_to_a_regular_file_of_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.txt", "日记 1.txt", "-", "*", ".hidden", "~tilde"):
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to("a.txt")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "FIFO")
    monkeypatch.chdir(tmp_path)
    refused = ("", ".", "..", ".hidden", "~tilde", "folder", "FIFO", "link", "folder/../a.txt", "folder\\..\\a.txt")
    for folder in (tmp_path, Path(), "folder/.."):
        for name in ("a.txt", "日记 1.txt", "-", "*"):
            found = named_beside(folder, name)
            assert found is not None
            assert found.is_absolute()
            assert found.samefile(tmp_path / name)
        for name in (*refused, "./a.txt", "a.txt/", "a.txt\0", "x" * 300, "missing", str(tmp_path / "a.txt")):
            assert named_beside(folder, name) is None, name


@pytest.mark.parametrize(
    "word", ["-x.safetensors", "--help", "a b.txt", "*.txt", "~/x", "o'clock", "-", "plain", "$HOME", "-a b"]
)
def test_a_word_of_a_command_is_one_word_and_no_option(word: str) -> None:
    (read,) = shlex.split(argument(word))
    assert os.path.normpath(read) == os.path.normpath(word)
    assert read == "-" or not read.startswith("-")


@pytest.mark.parametrize("word", ["\udcff.safetensors", "a\nb", "-\x1b[31m", "it's \t \\n", "\u202e日记"])
def test_a_word_that_cannot_be_shown_is_one_word_for_a_shell(word: str) -> None:
    shown = argument(word)
    assert shown.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {shown}"], capture_output=True, check=True)
    assert os.path.normpath(os.fsdecode(done.stdout)) == word
    assert not done.stdout.startswith(b"-")


def test_a_path_in_a_message_is_one_short_line(tmp_path: Path) -> None:
    assert quoted("diary.txt") == "'diary.txt'"
    for path in ("a\nb\x1b[31m", "x" * 5000, "\udcff", "\u202egpj.exe"):
        shown = quoted(path)
        assert shown.isprintable()
        assert len(shown) < 200
