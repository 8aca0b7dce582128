"""Files of the program's own are replaced until somebody edits them; documents never are."""

from pathlib import Path

import pytest

from kernelbal.errors import FileUnreadable, StateError
from kernelbal.store.placed import FileStatus, PlacedFile, file_status, place, stamped, unedited

OLD, NEW = stamped("setting=1\n"), stamped("setting=2\n")


def test_a_stamp_fits_until_one_character_changes() -> None:
    assert OLD.endswith("\nsetting=1\n")
    assert unedited(OLD.encode())
    assert not unedited(OLD.replace("=1", "=3").encode())
    assert not unedited(b"setting=1\n")
    assert not unedited(b"\xff\xfe")
    assert not unedited(b"")


@pytest.mark.parametrize(
    ("found", "document", "expected"),
    [
        (None, False, FileStatus.ABSENT),
        (NEW, False, FileStatus.SAME),
        (OLD, False, FileStatus.OUTDATED),
        (OLD + "more\n", False, FileStatus.EDITED),
        ("mine\n", False, FileStatus.EDITED),
        (OLD, True, FileStatus.EDITED),
        (None, True, FileStatus.ABSENT),
        (NEW, True, FileStatus.SAME),
    ],
)
def test_file_status(tmp_path: Path, found: str | None, document: bool, expected: FileStatus) -> None:
    path = tmp_path / "kernelbal.conf"
    if found is not None:
        path.write_text(found)
    assert file_status(PlacedFile(path, NEW, document)) is expected


def test_a_masked_unit_counts_as_edited(tmp_path: Path) -> None:
    path = tmp_path / "kernelbal.service"
    path.symlink_to("/dev/null")
    assert file_status(PlacedFile(path, NEW)) is FileStatus.EDITED


def test_a_directory_in_the_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="Is a directory"):
        file_status(PlacedFile(tmp_path, NEW))


def test_a_placed_file_is_readable_for_all_and_complete(tmp_path: Path) -> None:
    file = PlacedFile(tmp_path / "etc/kernelbal/x.conf", NEW)
    assert place(file) is None
    assert file.path.read_text() == NEW
    assert file.path.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in file.path.parent.iterdir()] == ["x.conf"]


def test_every_edited_file_keeps_a_name_of_its_own(tmp_path: Path) -> None:
    file = PlacedFile(tmp_path / "x.conf", NEW)
    for text in ("first", "second"):
        file.path.write_text(text)
        place(file, keep_old=True)
    kept = {path.name: path.read_text() for path in tmp_path.glob("*.old")}
    assert kept == {"x.conf.1.old": "first", "x.conf.2.old": "second"}
    assert file.path.read_text() == NEW


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    file = PlacedFile(tmp_path / "x.conf", NEW)
    file.path.mkdir()
    with pytest.raises(StateError, match="cannot write"):
        place(file)
    assert [path.name for path in tmp_path.iterdir()] == ["x.conf"]
