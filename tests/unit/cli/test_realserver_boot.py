"""Who brings preparations back at boot."""

from dataclasses import replace
from typing import Any

import pytest

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.cli.realserver_boot import choose_manager, files_at_boot
from kernelbal.errors import PlanRefused
from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.persist import observe
from kernelbal.realserver.persist.detect import NetworkConfiguration
from kernelbal.realserver.persist.manager import (
    NETWORKD_FILE,
    SYSCTL_FILE,
    UNIT,
    UNIT_FILE,
    UNIT_IF_LOADED,
    Manager,
)
from kernelbal.realserver.setup import Record
from tests.support.cli_harness import RealServerCli
from tests.support.realserver_host import host, prepared

NETWORKD = NetworkConfiguration(
    systemd=True,
    networkd=True,
    networkd_devices={"eth0": "/etc/systemd/network/a.network"},
    programs=frozenset({"ip", "nft"}),
)
ONE, ONCE = prepared(), replace(prepared(), at_boot=False)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a function that sets what is found
    def finds(what: NetworkConfiguration) -> None:
        monkeypatch.setattr(observe, "read_network_configuration", lambda: what)

    finds(NETWORKD)
    return finds


def test_who_configures_the_interface_does_it(found: Any) -> None:  # noqa: ANN401 (as the fixture)
    assert choose_manager(None, (ONE,), Record()) == "networkd"
    found(NetworkConfiguration(systemd=True))
    assert choose_manager(None, (ONE,), Record()) == "unit"
    found(NetworkConfiguration())
    with pytest.raises(PlanRefused, match="systemd does not run here"):
        choose_manager(None, (ONE,), Record())


@pytest.mark.usefixtures("found")
def test_it_stays_who_it_was_unless_another_is_named() -> None:
    before = Record(persist="unit")
    assert choose_manager(None, (ONE,), before) == "unit"
    assert choose_manager(Manager.NONE, (ONE, ONCE), before) == "unit"
    assert choose_manager(Manager.NETWORKD, (ONE,), before) == "networkd"
    assert choose_manager(Manager.NONE, (ONCE,), before) == ""
    with pytest.raises(PlanRefused, match="has no effect here"):
        choose_manager(Manager.IFUPDOWN, (ONE,), before)


@pytest.mark.usefixtures("found")
def test_files_are_those_of_the_manager() -> None:
    setup = setup_for((ONE,), host())
    assert set(files_at_boot(setup, "networkd", {})) == {SYSCTL_FILE, NETWORKD_FILE}
    assert UNIT_FILE in files_at_boot(setup, "unit", {})


@pytest.mark.usefixtures("found")
def test_what_is_for_once_leaves_the_files_of_others_alone(realserver_cli: RealServerCli) -> None:
    applied = realserver_cli.run("apply", "10.0.0.80")
    assert applied.code == ExitCode.OK, applied.err
    assert "networkd configures eth0" in applied.err
    assert realserver_cli.programs.run == [], "no unit of ours"
    files = dict(realserver_cli.host.files)
    assert "10.0.0.80/32" in files[NETWORKD_FILE]
    once = realserver_cli.run("apply", "10.0.0.81", "--persist", "none")
    assert "file" not in once.out
    assert realserver_cli.host.files == files
    more = realserver_cli.run("apply", "10.0.0.82")
    assert f"~ file {NETWORKD_FILE}" in more.out
    assert "10.0.0.81" not in realserver_cli.host.files[NETWORKD_FILE]
    realserver_cli.run("undo")
    assert realserver_cli.host.files == {}


@pytest.mark.usefixtures("found")
def test_another_manager_takes_over_with_all_files(realserver_cli: RealServerCli) -> None:
    realserver_cli.run("apply", "10.0.0.80")
    done = realserver_cli.run("apply", "10.0.0.80", "--persist", "unit")
    assert f"- file {NETWORKD_FILE}" in done.out
    assert UNIT_FILE in realserver_cli.host.files
    assert realserver_cli.programs.run == [("systemctl", "daemon-reload"), ("systemctl", "start", UNIT)]
    realserver_cli.run("undo")
    assert realserver_cli.programs.run[2:] == [
        ("systemctl", "daemon-reload"),
        ("systemctl", "stop", UNIT_IF_LOADED),
    ]


ARP = ("10.0.0.80", "--method", "arp")


def test_without_nft_nothing_is_changed_that_would_not_come_back(
    realserver_cli: RealServerCli,
    found: Any,  # noqa: ANN401 (as the fixture)
) -> None:
    found(replace(NETWORKD, programs=frozenset({"ip"})))
    for command in ("plan", "apply"):
        done = realserver_cli.run(command, *ARP)
        assert done.code == ExitCode.FAILED
        assert f"error: not installed: `nft`, which {UNIT} calls at boot" in done.err
        assert "apt install nftables; --persist none" in done.err
    assert realserver_cli.host.performed == []
    assert realserver_cli.run("apply", "10.0.0.81").code == ExitCode.OK, "has no table"
    assert realserver_cli.run("apply", *ARP, "--persist", "none").code == ExitCode.OK
    assert realserver_cli.run("undo").code == ExitCode.OK


@pytest.mark.usefixtures("found")
def test_a_unit_that_does_not_start_is_told_by_every_run_until_it_does(
    realserver_cli: RealServerCli,
) -> None:
    realserver_cli.programs.fault = lambda command: "Job failed." if "start" in command else ""
    for _ in range(2):
        done = realserver_cli.run("apply", *ARP)
        assert done.code == ExitCode.FAILED
        assert f"warning: Job failed.\n  hint: `systemctl status {UNIT}` says why" in done.err
        assert done.err.endswith("this host is prepared only until its next boot\n")
    document = realserver_cli.run("apply", *ARP, "--json").document
    assert (document["done"], [each["at_boot"] for each in document["warnings"]]) == (True, [True])
    realserver_cli.programs.fault = lambda command: ""
    assert realserver_cli.run("apply", *ARP).code == ExitCode.OK


@pytest.mark.usefixtures("found")
def test_a_unit_that_is_not_forgotten_is_not_stopped(realserver_cli: RealServerCli) -> None:
    realserver_cli.run("apply", *ARP)
    realserver_cli.programs.fault = lambda command: "No answer." if "daemon-reload" in command else ""
    done = realserver_cli.run("undo")
    assert (done.code, "warning: No answer." in done.err) == (ExitCode.OK, True)
    assert realserver_cli.programs.run[-1] == ("systemctl", "daemon-reload")
