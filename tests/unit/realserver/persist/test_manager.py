"""Permissions of files, and what a manager is told."""

from kernelbal.realserver.persist.manager import (
    KEYFILE,
    NETWORKD_FILE,
    SYSCTL_FILE,
    UNIT,
    UNIT_FILE,
    UNIT_IF_LOADED,
    file_mode,
    settling_commands,
)


def test_only_root_may_read_a_keyfile() -> None:
    assert file_mode(KEYFILE) == 0o600
    assert file_mode(UNIT_FILE) == file_mode(NETWORKD_FILE) == 0o644


def test_systemd_reads_anew_before_it_starts_a_unit_or_stops_one() -> None:
    """What it would do on a stop is forgotten then; it would take addresses away that are there to stay."""
    reload, start, stop = (
        ("systemctl", "daemon-reload"),
        ("systemctl", "start", UNIT),
        ("systemctl", "stop", UNIT_IF_LOADED),
    )
    assert settling_commands({UNIT_FILE, SYSCTL_FILE}, written=True) == (reload, start)
    assert settling_commands({UNIT_FILE}, written=False) == (reload, stop)


def test_networkmanager_forgets_a_profile_and_learns_of_one_at_boot() -> None:
    """Activating a profile of `lo` takes away what others have added there."""
    assert settling_commands({KEYFILE}, written=True) == ()
    assert settling_commands({KEYFILE}, written=False) == (("nmcli", "connection", "reload"),)
    assert settling_commands({SYSCTL_FILE, NETWORKD_FILE}, written=False) == ()
