"""Permissions of files, and what a manager is told."""

from kernelbal.realserver.persist.manager import (
    INTERFACES_FILE,
    KEYFILE,
    MODULES_FILE,
    NETWORKD_DIRECTORY,
    NETWORKD_FILE,
    SYSCTL_FILE,
    TABLES_FILE,
    UNIT,
    UNIT_FILE,
    UNIT_IF_LOADED,
    WANTED_FILE,
    Telling,
    drop_in_directory,
    file_mode,
    tellings,
)


def test_only_root_may_read_a_keyfile() -> None:
    assert file_mode(KEYFILE) == 0o600
    assert file_mode(UNIT_FILE) == file_mode(NETWORKD_FILE) == 0o644


def test_only_drop_ins_have_a_directory_for_themselves() -> None:
    network = f"{NETWORKD_DIRECTORY}/05-all.network.d"
    assert drop_in_directory(f"{network}/kernelbal-realserver.conf") == network
    assert drop_in_directory(WANTED_FILE) == "/etc/systemd/system/multi-user.target.d"
    shared = (SYSCTL_FILE, MODULES_FILE, TABLES_FILE, UNIT_FILE, NETWORKD_FILE, KEYFILE, INTERFACES_FILE)
    assert {drop_in_directory(path) for path in shared} == {""}


RELOAD, START = ("systemctl", "daemon-reload"), ("systemctl", "start", UNIT)
STOP = ("systemctl", "stop", UNIT_IF_LOADED)


def commands(*told: Telling) -> list[tuple[str, ...]]:
    return [command for each in told for command in each.commands]


def test_systemd_reads_anew_before_it_starts_a_unit_or_stops_one() -> None:
    """What it would do on a stop is forgotten then; it would take addresses away that are there to stay."""
    both = {UNIT_FILE, SYSCTL_FILE}
    assert commands(*tellings((), both, both)) == [RELOAD, START]
    assert commands(*tellings({UNIT_FILE}, (), ())) == [RELOAD, STOP]


def test_a_unit_that_has_failed_is_started_by_every_run() -> None:
    assert commands(*tellings((), (), {UNIT_FILE})) == [START]


def test_only_a_unit_that_does_not_start_is_missed_at_boot() -> None:
    assert all(each.at_boot for each in tellings((), {UNIT_FILE}, {UNIT_FILE}))
    assert all(each.at_boot for each in tellings((), (), {UNIT_FILE}))
    assert not any(each.at_boot for each in tellings({UNIT_FILE, KEYFILE}, (), ()))


def test_networkmanager_forgets_a_profile_and_learns_of_one_at_boot() -> None:
    """Activating a profile of `lo` takes away what others have added there."""
    assert tellings((), {KEYFILE}, {KEYFILE}) == ()
    assert commands(*tellings({KEYFILE}, (), ())) == [("nmcli", "connection", "reload")]
    assert tellings({SYSCTL_FILE, NETWORKD_FILE}, (), ()) == ()
