"""`kernelbal status`: what is in the kernel now."""

import json

import pytest

from kernelbal.cli import status as command
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.address import parse_address
from kernelbal.model.ipvs import DestinationCounters, Forwarding
from kernelbal.store import boot
from tests.support.cli_harness import SITE, WEB, WITHOUT_SECOND, A, B, DirectorCli, run_cli, without_ipvs
from tests.unit.plan.samples import connected, held, place, real, service, virtual, weighing

OTHER = service("2001:db8::9", 443)
SITE6 = SITE.replace("192.0.2.10", "2001:db8::10").replace("10.0.0.1", "2001:db8:1::1")
TABLE = """\
service / real server  method  name or owner  weight  active  inactive  total
192.0.2.10:80/tcp      wlc     web
  -> 10.0.0.11:80      nat                        50       7         8      9
  -> 10.0.0.12:80      nat                       100       0         0      0
connections 15, connection table 4096 buckets
kernel matches site.yaml
"""


def test_real_servers_are_shown_in_order_with_their_connections(cli: DirectorCli) -> None:
    cli.apply(SITE)
    cli.kernel.counters[WEB][A] = DestinationCounters(7, 8, 0, connections=9)
    done = cli.run("status")
    assert done[:2] == (ExitCode.OK, TABLE)
    assert done.err.startswith("no daemon answers at ")
    assert done.err.endswith("; this is the kernel alone\n")
    assert cli.run("status", "--kernel") == (ExitCode.OK, TABLE, "")


def test_status_changes_nothing(cli: DirectorCli) -> None:
    cli.run("status")
    assert cli.kernel.performed == []
    assert not cli.state_dir.exists()


def test_pending_changes_are_counted(cli: DirectorCli) -> None:
    done = cli.run("status")
    assert done.out == (
        "no IPVS services\nconnections 0, connection table 4096 buckets\n5 changes pending (kernelbal plan)\n"
    )
    cli.apply(SITE)
    cli.write(SITE.replace("wlc", "rr"))
    assert cli.run("status").out.endswith("\n1 change pending (kernelbal plan)\n")


def test_foreign_service_is_called_so_and_ipv6_stands_in_brackets(cli: DirectorCli) -> None:
    server = weighing(1, Forwarding.TUNNEL)
    cli.kernel.services[OTHER] = virtual((real("2001:db8::2", 0), server), prefix=128)
    cli.kernel.counters[OTHER] = {real("2001:db8::2", 0): connected(1)}
    lines = cli.run("status").out.splitlines()
    assert lines[1].split() == ["[2001:db8::9]:443/tcp", "wlc", "foreign"]
    assert lines[2].split() == ["->", "[2001:db8::2]:*", "tunnel", "1", "1", "0", "0"]


def test_draining_real_server_says_for_how_long(cli: DirectorCli) -> None:
    cli.apply(SITE)
    cli.kernel.load(WEB, active=1)
    cli.apply(WITHOUT_SECOND)
    cli.sleep(5)
    done = cli.run("status")
    assert "  -> 10.0.0.12:80      nat     draining, 15 s left       0       1" in done.out
    document = cli.run("status", "--json").document
    assert document["draining"] == 1
    assert [each["drain_left_s"] for each in document["services"][0]["real_servers"]] == [None, 15.0]


def test_real_server_without_counters_has_none(cli: DirectorCli) -> None:
    """One may come or go between the reading of the services and of their counters."""
    cli.apply(SITE)
    del cli.kernel.counters[WEB][B]
    assert cli.run("status").code == ExitCode.OK


def test_small_connection_table_is_warned_of(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "total_memory_bytes", lambda: 4 * 1024**3)
    cli.apply(SITE)
    cli.kernel.load(WEB, active=4000)
    done = cli.run("status")
    assert "connections 8000, connection table 4096 buckets" in done.out
    assert "warning: the IPVS connection table has 4096 buckets for 8000 connections" in done.err
    assert "conn_tab_bits=18" in done.err


def test_kernel_without_ipvs_is_no_error(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    without_ipvs(cli, monkeypatch)
    done = cli.run("status", "--kernel")
    assert done.code == ExitCode.OK
    assert done.err == (
        "warning: this kernel has no IPVS, or did not load its module\n  hint: modprobe ip_vs\n"
    )


# --- JSON ---


def test_json_has_stable_keys(cli: DirectorCli) -> None:
    cli.kernel.addresses[place("eth0", "192.0.2.1", 24)] = held(place("eth0", "192.0.2.1", 24))
    cli.kernel.addresses[place("lo", "127.0.0.1", 8)] = held(place("lo", "127.0.0.1", 8))
    cli.apply(SITE)
    cli.kernel.counters[WEB][A] = DestinationCounters(7, 8, 0, connections=9)
    done = cli.run("status", "--json")
    assert (done.code, done.err) == (ExitCode.OK, "")
    document = done.document
    servers = document["services"][0].pop("real_servers")
    assert servers[0] == {
        "address": "10.0.0.11:80",
        "forwarding": "nat",
        "weight": 50,
        "active": 7,
        "inactive": 8,
        "connections": 9,
        "drain_left_s": None,
    }
    assert document == {
        "schema": 1,
        "ipvs_available": True,
        "services": [
            {"service": "192.0.2.10:80/tcp", "name": "web", "owner": "kernelbal", "scheduler": "wlc"}
        ],
        "addresses": [
            {"address": "192.0.2.1/24 dev eth0", "owner": "foreign"},
            {"address": "192.0.2.10/32 dev eth0", "owner": "kernelbal"},
        ],
        "connection_table": {"buckets": 4096, "connections": 15, "warning": None, "hidden_clients": None},
        "changes_pending": 0,
        "draining": 0,
    }


def test_clients_that_something_in_front_hides(cli: DirectorCli) -> None:
    cli.apply(SITE)
    cli.kernel.load(WEB, active=300)
    cli.kernel.clients = {parse_address("192.0.2.254"): 300, parse_address("192.0.2.10"): 5000}
    done = cli.run("status", "--kernel")
    assert "300 of 300 connections come from 1 address (192.0.2.254)" in done.err
    assert "hint: let the device in front of the director translate destinations only" in done.err
    table = json.loads(cli.run("status", "--kernel", "--json").out)["connection_table"]
    assert table["hidden_clients"].startswith("300 of 300 connections")


# --- documents ---


def test_without_site_file_the_kernel_is_shown(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is ours is known without it, and nothing counts as pending."""
    cli.apply(SITE)
    cli.kernel.load(WEB, active=1)
    default = cli.folder / "none.yaml"
    monkeypatch.setattr(command, "SITE_FILE", default)
    status = ("status", str(default), "--state-dir", str(cli.state_dir))
    done = run_cli(cli.capsys, *status)
    assert done.code == ExitCode.OK
    assert done.out.splitlines()[1].split() == ["192.0.2.10:80/tcp", "wlc", "kernelbal"]
    assert "pending" not in done.out
    document = run_cli(cli.capsys, *status, "--json").document
    assert (document["changes_pending"], document["draining"]) == (None, 0)


@pytest.mark.parametrize("document", ["site", "node"])
def test_document_that_was_named_must_be_readable(cli: DirectorCli, document: str) -> None:
    getattr(cli, document).unlink()
    done = cli.run("status")
    assert (done.code, done.out) == (ExitCode.NO_INPUT, "")
    assert f"cannot read {getattr(cli, document)}" in done.err


def test_wrong_document_is_refused(cli: DirectorCli) -> None:
    cli.write("virtual_services: 5\n")
    assert cli.run("status").code == ExitCode.CONFIG
