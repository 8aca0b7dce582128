"""Files are replaced whole."""

import os
import stat
from pathlib import Path

import pytest

from kernelbal.store.files import MOST_BAD, make_directory, remove_file, replace_both, replace_file, set_aside


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is flushed and renamed, in order; directories by their names below the test's own."""
    order: list[str] = []
    flush, rename = os.fsync, Path.replace

    def noted_flush(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        order.append(f"flush {path.relative_to(tmp_path) if path.is_dir() else 'file'}")
        flush(descriptor)

    def noted_rename(self: Path, target: Path) -> Path:
        order.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted_flush)
    monkeypatch.setattr(Path, "replace", noted_rename)
    return order


def test_content_reaches_the_disk_before_the_name_does(tmp_path: Path, order: list[str]) -> None:
    replace_file(tmp_path / "a", b"new", 0o600)
    assert order == ["flush file", "rename", "flush ."]


def test_new_directories_and_removals_reach_the_disk(tmp_path: Path, order: list[str]) -> None:
    make_directory(tmp_path / "a/b", 0o700)
    make_directory(tmp_path / "a/b", 0o700)
    (tmp_path / "a/b/unit").touch()
    remove_file(tmp_path / "a/b/unit")
    remove_file(tmp_path / "a/b/unit")
    assert order == ["flush .", "flush a", "flush a/b"]
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700
    assert not (tmp_path / "a/b/unit").exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    replace_file(tmp_path / "a", b"old", 0o600)
    monkeypatch.setattr(os, "fsync", out_of_space)
    with pytest.raises(OSError, match="No space left"):
        replace_file(tmp_path / "a", b"new", 0o600)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


def test_the_left_over_of_a_crash_is_overwritten(tmp_path: Path) -> None:
    left = tmp_path / ".a.new"
    left.write_text("half of a reco")
    left.chmod(0o666)
    replace_file(tmp_path / "a", b"new", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_the_left_over_of_a_crash_goes_with_the_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f".{name}.new").write_text("half of a reco")
    remove_file(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == [".b.new"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / ".a.new").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        replace_file(tmp_path / "a", b"new", 0o600)
    assert (tmp_path / "target").read_text() == "mine"


def test_an_old_file_keeps_a_name_of_its_own_when_asked(tmp_path: Path) -> None:
    for text in (b"first", b"second", b"third"):
        old = replace_file(tmp_path / "a", text, 0o644, keep_old=(tmp_path / "a").exists())
    assert old == tmp_path / "a.2.old"
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == {"a.1.old": b"first", "a.2.old": b"second", "a": b"third"}


def test_a_full_disk_changes_neither_a_file_nor_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, copy = tmp_path / "a", tmp_path / "a.copy"
    replace_both(file, copy, b"old", 0o600)
    left = iter([None])
    fsync = os.fsync

    def full_after_one(descriptor: int) -> None:
        if next(left, descriptor) is not None:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_after_one)
    with pytest.raises(OSError, match="No space left"):
        replace_both(file, copy, b"new", 0o600)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old", "a.copy": b"old"}


def test_damaged_files_get_names_of_their_own_and_are_bounded(tmp_path: Path) -> None:
    for number in range(MOST_BAD + 2):
        (tmp_path / "a").write_text(str(number))
        kept = set_aside(tmp_path / "a")
    assert kept == tmp_path / f"a.{MOST_BAD}.bad"
    assert len(list(tmp_path.iterdir())) == MOST_BAD
    assert (tmp_path / "a.bad").read_text() == "0", "the first is what was lost"
    assert kept.read_text() == str(MOST_BAD + 1), "and the last is what happened now"
