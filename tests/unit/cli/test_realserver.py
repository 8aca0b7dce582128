"""`kernelbal realserver` on a host in memory."""

import errno
import json
from typing import Any

import pytest

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.plan.kinds.addresses import AddAddress
from tests.support.cli_harness import RealServerCli

IGNORE = "# Only addresses of the interface that is asked are answered for, so never the virtual address."
ANNOUNCE = "# The host's own ARP requests never name the virtual address as their sender."
SILENCE = "".join(
    f"~ sysctl net.ipv4.conf.{name}.arp_ignore 0 -> 1  {IGNORE}\n"
    f"~ sysctl net.ipv4.conf.{name}.arp_announce 0 -> 2  {ANNOUNCE}\n"
    for name in ("all", "eth0")
)


def test_plan_is_what_apply_does(realserver_cli: RealServerCli) -> None:
    planned = realserver_cli.run("plan", "10.0.0.80", "--persist", "none")
    assert planned.out == SILENCE + "+ address 10.0.0.80/32 dev lo\n1 to add, 4 to change, 0 to remove\n"
    assert realserver_cli.host.performed == []
    applied = realserver_cli.run("apply", "10.0.0.80", "--persist", "none")
    assert applied.out == planned.out + "applied 5 changes; this host is prepared\n"
    assert "kernelbal realserver verify" in applied.err
    again = realserver_cli.run("apply", "10.0.0.80", "--persist", "none")
    assert again.out == "no changes: this host is prepared\n"


def test_plan_without_address_tells_whether_the_host_still_is_as_prepared(
    realserver_cli: RealServerCli,
) -> None:
    realserver_cli.run("apply", "10.0.0.80", "--persist", "none")
    assert realserver_cli.run("plan", "--detailed-exitcode").code == ExitCode.OK
    realserver_cli.host.sysctls["net/ipv4/conf/all/arp_ignore"] = "0"
    drifted = realserver_cli.run("plan", "--detailed-exitcode", "--persist", "none")
    assert (drifted.code, "arp_ignore 0 -> 1" in drifted.out) == (ExitCode.CHANGES, True)


def test_nft_tables_are_shown_in_nft_words(realserver_cli: RealServerCli) -> None:
    done = realserver_cli.run(
        "plan", "10.0.0.80", "--method", "redirect", "--port", "80:8080", "--persist", "none"
    )
    assert "ip daddr 10.0.0.80 tcp dport 80 dnat ip to 10.0.0.11:8080" in done.out
    whole = realserver_cli.run("plan", "10.0.0.80", "--method", "redirect", "--persist", "none")
    assert "note: every port of the virtual address leads to this host" in whole.err


def test_json(realserver_cli: RealServerCli) -> None:
    document = realserver_cli.run("plan", "10.0.0.80", "--json", "--persist", "none").document
    assert (document["schema"], document["changes"]) == (1, 5)
    assert document["preparations"][0]["interfaces"] == ["eth0"]
    done = realserver_cli.run("apply", "10.0.0.80", "--json", "--persist", "none").document
    assert done["done"] is True
    assert {outcome["ok"] for outcome in done["outcomes"]} == {True}
    dry = realserver_cli.run("undo", "--dry-run", "--json").document
    assert (dry["changes"], dry["preparations"]) == (5, [])


def test_undo_one_and_all(realserver_cli: RealServerCli) -> None:
    realserver_cli.run("apply", "10.0.0.80", "10.0.0.81", "fd00::80", "--persist", "none")
    one = realserver_cli.run("undo", "10.0.0.81")
    assert "- address 10.0.0.81/32 dev lo" in one.out
    assert "0 to add, 0 to change, 1 to remove" in one.out
    dry = realserver_cli.run("undo", "--dry-run")
    assert "0 to add, 4 to change, 2 to remove" in dry.out
    assert realserver_cli.run("undo").out.endswith("undone: this host is as it was before\n")
    assert realserver_cli.run("undo").out == "no changes: nothing is prepared on this host\n"


def test_undo_of_something_else_is_refused(realserver_cli: RealServerCli) -> None:
    realserver_cli.run("apply", "10.0.0.80", "--persist", "none")
    done = realserver_cli.run("undo", "10.0.0.99")
    assert done.code == ExitCode.FAILED
    assert "10.0.0.99 was not prepared by kernelbal" in done.err
    assert "10.0.0.80" in done.err


def test_failure_is_told_with_its_remedy_and_taken_back(realserver_cli: RealServerCli) -> None:
    realserver_cli.host.refuse = lambda step: errno.EACCES if isinstance(step, AddAddress) else 0
    before = dict(realserver_cli.host.sysctls)
    done = realserver_cli.run("apply", "fd00::80", "10.0.0.80", "--persist", "none")
    assert done.code == ExitCode.FAILED
    assert "the device takes no IPv6 address" in done.err
    assert "hint: IPv6 is switched off" in done.err
    assert "nothing was changed" in done.err
    assert realserver_cli.host.sysctls == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("10.0.0",), "not an IP address"),
        (("10.0.0.80", "--port", "http"), "is not a port"),
        (("10.0.0.80", "--real", "x"), "not an IP address"),
        (("10.0.0.80", "--tunnel", "gre"), "--tunnel: it is for tunnels only: add --forwarding tunnel"),
        (("10.0.0.80", "--tunnel-port", "5555"), "add --forwarding tunnel"),
        (("10.0.0.80", "--forwarding", "tunnel", "--tunnel", "gue", "--tunnel-port", "70000"), "65535"),
        (("10.0.0.80", "--forwarding", "tunnel", "--tunnel", "gue", "--tunnel-port", "-5"), "--tunnel-port"),
    ],
)
def test_what_is_no_address_or_port(
    realserver_cli: RealServerCli, options: tuple[str, ...], words: str
) -> None:
    done = realserver_cli.run("plan", *options)
    assert done.code == ExitCode.USAGE
    assert words in " ".join(done.err.split())


def test_refusal_names_every_fault(realserver_cli: RealServerCli) -> None:
    done = realserver_cli.run("apply", "10.0.0.11", "10.0.0.80", "--interface", "eth9", "--persist", "none")
    assert done.code == ExitCode.FAILED
    assert "own address on `eth0`" in done.err
    assert "there is no interface `eth9`" in done.err
    assert realserver_cli.host.performed == []


def test_real_addresses_of_both_families(realserver_cli: RealServerCli) -> None:
    document: dict[str, Any] = json.loads(
        realserver_cli.run(
            "plan", "10.0.0.80", "fd00::80", "--real", "10.0.0.11", "--json", "--persist", "none"
        ).out
    )
    assert [each["real"] for each in document["preparations"]] == ["10.0.0.11", "fd00::11"]
