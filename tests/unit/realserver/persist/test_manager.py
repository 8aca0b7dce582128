"""Permissions of files, and what a manager is told."""

import pytest

from kernelbal.realserver.persist.manager import (
    KEYFILE,
    NETWORKD_FILE,
    UNIT,
    UNIT_FILE,
    Manager,
    file_mode,
    settling_commands,
)


def test_only_root_may_read_a_keyfile() -> None:
    assert file_mode(KEYFILE) == 0o600
    assert file_mode(UNIT_FILE) == file_mode(NETWORKD_FILE) == 0o644


@pytest.mark.parametrize("manager", [each for each in Manager if each is not Manager.NONE])
def test_systemd_reads_units_before_it_starts_one_and_stops_it_before_it_forgets_it(manager: Manager) -> None:
    there = settling_commands(manager, files=True)
    assert there[:2] == (("systemctl", "daemon-reload"), ("systemctl", "start", UNIT))
    gone = settling_commands(manager, files=False)
    assert gone[:2] == (("systemctl", "stop", UNIT), ("systemctl", "daemon-reload"))


def test_a_manager_reads_its_files_anew() -> None:
    assert settling_commands(Manager.NETWORKD, files=True)[-1] == ("networkctl", "reload")
    assert settling_commands(Manager.NETWORKMANAGER, files=False)[-1] == ("nmcli", "connection", "reload")
    assert settling_commands(Manager.NONE, files=False) == ()
