"""Hearing of replaced files."""

import os
import select
from pathlib import Path

import pytest

from kernelbal.kernel.inotify import DirectoryWatch


def heard(watch: DirectoryWatch) -> bool:
    select.select([watch.fileno()], [], [], 5)
    return watch.read()


def test_writing_renaming_and_linking_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("x")
    with DirectoryWatch([tmp_path]) as watch:
        assert not watch.read()
        (tmp_path / "site.yaml").write_text("x")
        assert heard(watch)
        assert not watch.read()
        os.replace(tmp_path / "new", tmp_path / "site.yaml")
        assert heard(watch)
        (tmp_path / "link").symlink_to("site.yaml")
        assert heard(watch)


def test_reading_and_removing_are_not(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("x")
    with DirectoryWatch([tmp_path]) as watch:
        (tmp_path / "site.yaml").read_text()
        (tmp_path / "site.yaml").unlink()
        assert not watch.read()


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        DirectoryWatch([tmp_path, tmp_path / "none"])
