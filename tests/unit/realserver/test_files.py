"""Files, and what is found out before the first step; the rest is proved in tests/lab/test_realserver.py."""

import os
from pathlib import Path

import pytest

from kernelbal.errors import NotPermitted, StateError
from kernelbal.plan.action import Result
from kernelbal.plan.kinds.files import FILES, RemoveFile, WriteFile
from kernelbal.plan.kinds.sysctls import WriteSysctl
from kernelbal.realserver import files
from kernelbal.realserver.host import LinuxHost
from kernelbal.realserver.persist import manager

SILENT = WriteSysctl("net/ipv4/conf/all/arp_ignore", "0", "1", "why")


def test_files_are_written_and_put_back(tmp_path: Path) -> None:
    one, two = tmp_path / "new/one", tmp_path / "two"
    two.write_text("before\n")
    with LinuxHost() as at:
        written = at.perform([WriteFile(str(one), None, "1\n"), WriteFile(str(two), "before\n", "2\n")])
        assert all(outcome.result is Result.DONE for outcome in written)
        found = at.observe({FILES: (str(one), str(two), str(tmp_path / "none"))}).of(FILES)
        assert list(found.values()) == ["1\n", "2\n", None]
        at.perform([RemoveFile(str(one), None), RemoveFile(str(two), "before\n")])
    assert not one.exists()
    assert two.read_text() == "before\n"


def test_a_drop_in_leaves_no_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "UNITS_DIRECTORY", str(tmp_path))
    ours, shared = tmp_path / "a.target.d/ours", tmp_path / "b.target.d/ours"
    theirs = shared.with_name("theirs")
    with LinuxHost() as at:
        at.perform([WriteFile(str(path), None, "1\n") for path in (ours, shared, theirs)])
        removed = at.perform([RemoveFile(str(path), None) for path in (ours, shared, ours)])
    assert all(outcome.result is Result.DONE for outcome in removed)
    assert not ours.parent.exists()
    assert list(shared.parent.iterdir()) == [theirs]
    assert tmp_path.exists()


def test_keyfiles_of_networkmanager_are_for_root_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "file_mode", lambda path: 0o600 if path.endswith("secret") else 0o644)
    with LinuxHost() as at:
        at.perform([WriteFile(str(tmp_path / name), None, "1") for name in ("secret", "open")])
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("secret", "open")]
    assert modes == [0o600, 0o644]


def test_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with LinuxHost() as at:
        (outcome,) = at.perform([WriteFile(str(tmp_path / "file/below"), None, "1")])
    assert outcome.result is Result.FAILED
    assert "cannot write" in outcome.message


def test_directory_in_place_of_a_file(tmp_path: Path) -> None:
    with LinuxHost() as at:
        (outcome,) = at.perform([RemoveFile(str(tmp_path), None)])
        assert outcome.result is Result.FAILED
        with pytest.raises(StateError, match="cannot read"):
            at.observe({FILES: (str(tmp_path),)})


def test_only_root_may_change_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with LinuxHost() as at:
        at.check([])
        with pytest.raises(NotPermitted):
            at.check([SILENT])
