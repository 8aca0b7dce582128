"""Which of the host's directories a guest that stays up shows anew."""

from pathlib import Path, PurePath

import pytest

from kernelbal.lab.errors import SessionError
from kernelbal.lab.live import belongs_to_the_guest, show


@pytest.mark.parametrize(
    "directory", ["/", "/root", "/tmp", "/etc/kernelbal", "/var/lib", "/run", "/usr/bin"]
)
def test_guest_keeps_what_programs_write_to(directory: str) -> None:
    assert belongs_to_the_guest(PurePath(directory))


@pytest.mark.parametrize("directory", ["/root/my-site", "/tmp/clone", "/home/me", "/srv"])
def test_working_directories_are_the_hosts(directory: str) -> None:
    assert not belongs_to_the_guest(PurePath(directory))


def test_nothing_is_made_where_the_host_has_no_such_directory(tmp_path: Path) -> None:
    show(tmp_path / "gone", live=tmp_path / "live")
    assert not (tmp_path / "gone").exists()


def test_directory_that_is_seen_already_is_left_alone(tmp_path: Path) -> None:
    show(tmp_path, live=Path("/"))


def test_failure_names_the_directory(tmp_path: Path) -> None:
    (tmp_path / "live/srv").mkdir(parents=True)
    (tmp_path / "live" / str(tmp_path / "file/below").lstrip("/")).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match=r"cannot show .*file/below in the lab: Not a directory"):
        show(tmp_path / "file/below", live=tmp_path / "live")
