"""`kernelbal realserver` on a host in memory."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.plan.actions import AddAddress
from kernelbal.realserver import host as linux_host
from kernelbal.testing.fake_host import FakeHost
from tests.unit.cli.desk import Said
from tests.unit.realserver.desk import fake_host

IGNORE = "# Only addresses of the interface that is asked are answered for, so never the virtual address."
ANNOUNCE = "# The host's own ARP requests never name the virtual address as their sender."
SILENCE = "".join(
    f"~ sysctl net.ipv4.conf.{name}.arp_ignore 0 -> 1  {IGNORE}\n"
    f"~ sysctl net.ipv4.conf.{name}.arp_announce 0 -> 2  {ANNOUNCE}\n"
    for name in ("all", "eth0")
)


@dataclass
class Desk:
    host: FakeHost
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def say(self, command: str, *options: str) -> Said:
        code = run(["realserver", command, "--state-dir", str(self.folder), *options])
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err)


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    made = Desk(fake_host(), tmp_path, capsys)

    @contextmanager
    def opened() -> Iterator[FakeHost]:
        yield made.host

    monkeypatch.setattr(linux_host, "LinuxHost", opened)
    monkeypatch.setenv("NO_COLOR", "1")
    return made


def test_plan_is_what_apply_does(desk: Desk) -> None:
    planned = desk.say("plan", "10.0.0.80", "--persist", "none")
    assert planned.out == SILENCE + "+ address 10.0.0.80/32 dev lo\n1 to add, 4 to change, 0 to remove\n"
    assert desk.host.performed == []
    applied = desk.say("apply", "10.0.0.80", "--persist", "none")
    assert applied.out == planned.out + "applied 5 changes; this host is prepared\n"
    assert "kernelbal realserver verify" in applied.err
    again = desk.say("apply", "10.0.0.80", "--persist", "none")
    assert again.out == "no changes: this host is prepared\n"


def test_plan_without_address_tells_whether_the_host_still_is_as_prepared(desk: Desk) -> None:
    desk.say("apply", "10.0.0.80", "--persist", "none")
    assert desk.say("plan", "--detailed-exitcode").code == ExitCode.OK
    desk.host.kernel.sysctls["net/ipv4/conf/all/arp_ignore"] = "0"
    drifted = desk.say("plan", "--detailed-exitcode", "--persist", "none")
    assert (drifted.code, "arp_ignore 0 -> 1" in drifted.out) == (ExitCode.CHANGES, True)


def test_nft_tables_are_shown_in_nft_words(desk: Desk) -> None:
    said = desk.say("plan", "10.0.0.80", "--method", "redirect", "--port", "80:8080", "--persist", "none")
    assert "ip daddr 10.0.0.80 tcp dport 80 dnat ip to 10.0.0.11:8080" in said.out
    whole = desk.say("plan", "10.0.0.80", "--method", "redirect", "--persist", "none")
    assert "note: every port of the virtual address leads to this host" in whole.err


def test_json(desk: Desk) -> None:
    document = desk.say("plan", "10.0.0.80", "--json", "--persist", "none").document
    assert (document["schema"], document["changes"]) == (1, 5)
    assert document["preparations"][0]["interfaces"] == ["eth0"]
    done = desk.say("apply", "10.0.0.80", "--json", "--persist", "none").document
    assert done["done"] is True
    assert {outcome["ok"] for outcome in done["outcomes"]} == {True}
    dry = desk.say("undo", "--dry-run", "--json").document
    assert (dry["changes"], dry["preparations"]) == (5, [])


def test_undo_one_and_all(desk: Desk) -> None:
    desk.say("apply", "10.0.0.80", "10.0.0.81", "fd00::80", "--persist", "none")
    one = desk.say("undo", "10.0.0.81")
    assert "- address 10.0.0.81/32 dev lo" in one.out
    assert "0 to add, 0 to change, 1 to remove" in one.out
    dry = desk.say("undo", "--dry-run")
    assert "0 to add, 4 to change, 2 to remove" in dry.out
    assert desk.say("undo").out.endswith("undone: this host is as it was before\n")
    assert desk.say("undo").out == "no changes: nothing is prepared on this host\n"


def test_undo_of_something_else_is_refused(desk: Desk) -> None:
    desk.say("apply", "10.0.0.80", "--persist", "none")
    said = desk.say("undo", "10.0.0.99")
    assert said.code == ExitCode.FAILED
    assert "10.0.0.99 was not prepared by kernelbal" in said.err
    assert "10.0.0.80" in said.err


def test_failure_is_told_with_its_remedy_and_taken_back(desk: Desk) -> None:
    desk.host.refuse = lambda step: errno.EACCES if isinstance(step, AddAddress) else 0
    before = dict(desk.host.kernel.sysctls)
    said = desk.say("apply", "fd00::80", "10.0.0.80", "--persist", "none")
    assert said.code == ExitCode.FAILED
    assert "the device takes no IPv6 address" in said.err
    assert "hint: IPv6 is switched off" in said.err
    assert "nothing was changed" in said.err
    assert desk.host.kernel.sysctls == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("10.0.0",), "not an IP address"),
        (("10.0.0.80", "--port", "http"), "is not a port"),
        (("10.0.0.80", "--real", "x"), "not an IP address"),
    ],
)
def test_what_is_no_address_or_port(desk: Desk, options: tuple[str, ...], words: str) -> None:
    said = desk.say("plan", *options)
    assert said.code == ExitCode.USAGE
    assert words in " ".join(said.err.split())


def test_refusal_names_every_fault(desk: Desk) -> None:
    said = desk.say("apply", "10.0.0.11", "10.0.0.80", "--interface", "eth9", "--persist", "none")
    assert said.code == ExitCode.FAILED
    assert "own address on `eth0`" in said.err
    assert "there is no interface `eth9`" in said.err
    assert desk.host.performed == []


def test_real_addresses_of_both_families(desk: Desk) -> None:
    document: dict[str, Any] = json.loads(
        desk.say("plan", "10.0.0.80", "fd00::80", "--real", "10.0.0.11", "--json", "--persist", "none").out
    )
    assert [each["real"] for each in document["preparations"]] == ["10.0.0.11", "fd00::11"]
