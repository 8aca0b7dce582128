"""`kernelbal status`: what is in the kernel now."""

import json
import re
import shutil
import subprocess

import pytest

from kernelbal.cli import status as command
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.address import parse_address
from kernelbal.model.health import Health
from kernelbal.model.ipvs import DestinationCounters, DestinationKey, Forwarding
from kernelbal.model.overlay import Mode, ServerState
from kernelbal.model.status import DirectorStatus, KernelServerStatus, Owner, TableStatus
from kernelbal.plan.kinds.sync_daemons import SYNC_DAEMONS, SyncDaemon, SyncRole
from kernelbal.store import boot
from kernelbal.store.codec import decode_document
from tests.support.builders import connected, held, place, real, service, virtual, weighing
from tests.support.cli_harness import (
    SITE,
    WEB,
    WITHOUT_SECOND,
    A,
    B,
    DaemonCli,
    DirectorCli,
    run_cli,
    without_ipvs,
)

SORRY = real("10.0.0.99", 80)
OTHER = service("2001:db8::9", 443)
SITE6 = SITE.replace("192.0.2.10", "2001:db8::10").replace("10.0.0.1", "2001:db8:1::1")
TABLE = """\
director lb1, kernelbal 0.1.0
kernel matches site.yaml
virtual services 1, real servers 2
connections 15, connection table 4096 buckets

web  192.0.2.10 tcp 80  nat wlc  serving, 2 of 2 usable, quorum 1
real server  state    since  weight  active  inactive  conn/s  in B/s  out B/s  why
10.0.0.12    serving            100       0         0                           not probed: no daemon
10.0.0.11    serving             50       7         8                           not probed: no daemon

service / real server  method  name or owner  weight  active  inactive  total
192.0.2.10:80/tcp      wlc     web
  -> 10.0.0.11:80      nat                        50       7         8      9
  -> 10.0.0.12:80      nat                       100       0         0      0
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
    assert done.out.splitlines()[1] == "5 changes pending (kernelbal plan)"
    assert done.out.endswith("\nno IPVS services\n")
    cli.apply(SITE)
    cli.write(SITE.replace("wlc", "rr"))
    assert "\n1 change pending (kernelbal plan)\n" in cli.run("status").out


def test_foreign_service_is_called_so_and_ipv6_stands_in_brackets(cli: DirectorCli) -> None:
    server = weighing(1, Forwarding.TUNNEL)
    cli.kernel.services[OTHER] = virtual((real("2001:db8::2", 0), server), prefix=128)
    cli.kernel.counters[OTHER] = {real("2001:db8::2", 0): connected(1)}
    lines = cli.run("status").out.splitlines()[-2:]
    assert lines[0].split() == ["[2001:db8::9]:443/tcp", "wlc", "foreign"]
    assert lines[1].split() == ["->", "[2001:db8::2]:*", "tunnel", "1", "1", "0", "0"]


def test_sync_daemon_is_shown_with_its_owner(cli: DirectorCli) -> None:
    cli.kernel.objects[SYNC_DAEMONS.name] = {SyncRole.MASTER: SyncDaemon("eth1", 7)}
    line = "sync daemon master 224.0.0.81:8848 on eth1 sync_id 7 ttl 1 max_length 1452, foreign"
    assert line in cli.run("status").out.splitlines()
    (daemon,) = cli.run("status", "--json").document["kernel"]["sync_daemons"]
    assert (daemon["role"], daemon["owner"]) == ("master", "foreign")


def test_draining_real_server_says_for_how_long(cli: DirectorCli) -> None:
    cli.apply(SITE)
    cli.kernel.load(WEB, active=1)
    cli.apply(WITHOUT_SECOND)
    cli.sleep(5)
    done = cli.run("status")
    assert "  -> 10.0.0.12:80      nat     draining, 15 s left       0       1" in done.out
    kernel = cli.run("status", "--json").document["kernel"]
    assert kernel["draining"] == 1
    assert [each["drain_left_s"] for each in kernel["services"][0]["real_servers"]] == [None, 15.0]


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
    assert done.err == ("warning: this kernel has no IPVS, or did not load its module; modprobe ip_vs\n")


# --- JSON ---


def test_json_shows_the_kernel_in_the_shape_of_a_daemon(cli: DirectorCli) -> None:
    cli.kernel.addresses[place("eth0", "192.0.2.1", 24)] = held(place("eth0", "192.0.2.1", 24))
    cli.kernel.addresses[place("lo", "127.0.0.1", 8)] = held(place("lo", "127.0.0.1", 8))
    cli.apply(SITE)
    cli.kernel.counters[WEB][A] = DestinationCounters(7, 8, 0, connections=9)
    done = cli.run("status", "--json")
    assert (done.code, done.err) == (ExitCode.OK, "")
    status = decode_document(DirectorStatus, done.out.encode())
    assert [status.pid, status.started, status.config, status.reconcile, status.checker] == [None] * 5
    assert (status.node, status.table) == ("lb1", TableStatus(buckets=4096, connections=15, warning=""))
    first = KernelServerStatus(
        address="10.0.0.11:80",
        forwarding="nat",
        weight=50,
        active=7,
        inactive=8,
        connections=9,
        drain_left_s=None,
    )
    kernel = status.kernel
    assert kernel is not None
    (service,) = kernel.services
    assert (service.service, service.name, service.owner) == ("192.0.2.10:80/tcp", "web", Owner.KERNELBAL)
    assert service.real_servers[0] == first
    assert [(each.address, each.owner) for each in kernel.addresses] == [
        ("192.0.2.1/24 dev eth0", Owner.FOREIGN),
        ("192.0.2.10/32 dev eth0", Owner.KERNELBAL),
    ]
    assert (kernel.ipvs_available, kernel.pending_changes, kernel.draining) == (True, 0, 0)


def servers_of(cli: DirectorCli) -> list[tuple[ServerState, Health, int, int, str]]:
    (service,) = decode_document(DirectorStatus, cli.run("status", "--json").out.encode()).virtual_services
    assert service.since is None
    return [
        (each.state, each.health, each.weight, each.configured_weight, each.reason)
        for each in service.real_servers
    ]


def test_states_are_those_that_the_kernel_shows_and_health_is_unknown(cli: DirectorCli) -> None:
    unknown, why = Health.UNKNOWN, "not probed: no daemon"
    assert servers_of(cli)[1] == (ServerState.UNKNOWN, unknown, 0, 50, "not in the kernel")
    cli.apply(SITE)
    assert servers_of(cli) == [
        (ServerState.SERVING, unknown, 100, 100, why),
        (ServerState.SERVING, unknown, 50, 50, why),
    ]
    cli.kernel.services[WEB].destinations[A] = weighing(0)
    assert servers_of(cli)[1] == (ServerState.QUIESCED, unknown, 0, 50, f"weight 0 in the kernel; {why}")


@pytest.mark.parametrize(
    ("left", "mode", "usable"),
    [({A: 1, B: 0}, Mode.SERVING, 1), ({A: 0, B: 0}, Mode.REFUSING, 0), ({SORRY: 1}, Mode.SORRY, 0)],
)
def test_mode_is_the_one_that_the_kernel_shows(
    cli: DirectorCli, left: dict[DestinationKey, int], mode: Mode, usable: int
) -> None:
    cli.apply(SITE)
    cli.kernel.services[WEB] = virtual(*((key, weighing(weight)) for key, weight in left.items()))
    status = decode_document(DirectorStatus, cli.run("status", "--kernel", "--json").out.encode())
    (service,) = status.virtual_services
    assert (service.mode, service.usable) == (mode, usable)


def test_one_service_of_the_kernel(cli: DirectorCli) -> None:
    cli.kernel.services[OTHER] = virtual()
    cli.apply(SITE)
    document = cli.run("status", "--kernel", "--json", "--service", "web").document
    assert [each["name"] for each in document["kernel"]["services"]] == ["web"]
    done = cli.run("status", "--kernel", "--service", "dns")
    assert done.code == ExitCode.FAILED
    assert "there are: web" in done.err


def test_kernel_is_watched(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", nap)
    done = cli.run("status", "--kernel", "--watch")
    assert (done.code, done.out.count("no IPVS services")) == (ExitCode.INTERRUPTED, 3)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_expressions_of_the_help_find_what_they_say(cli: DirectorCli) -> None:
    cli.kernel.services[OTHER] = virtual()
    cli.apply(SITE)
    cli.kernel.services[WEB].destinations[A] = weighing(0)
    text = cli.run("status", "--kernel", "--json").out
    found = []
    for expression in re.findall(r"jq '([^']+)'", command.EPILOG):
        done = subprocess.run(
            ["jq", "-c", expression], input=text, capture_output=True, text=True, check=True, timeout=20
        )
        found += [json.loads(line) for line in done.stdout.splitlines()]
    assert [each.get("address") or each["service"] for each in found] == [
        "10.0.0.11",
        "[2001:db8::9]:443/tcp",
    ]


def test_clients_that_something_in_front_hides(cli: DirectorCli) -> None:
    cli.apply(SITE)
    cli.kernel.load(WEB, active=300)
    cli.kernel.clients = {parse_address("192.0.2.254"): 300, parse_address("192.0.2.10"): 5000}
    done = cli.run("status", "--kernel")
    assert "300 of 300 connections come from 1 address (192.0.2.254)" in done.err
    assert "; let the device in front of the director translate destinations only" in done.err
    table = cli.run("status", "--kernel", "--json").document["table"]
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
    assert "\n192.0.2.10:80/tcp      wlc     kernelbal\n" in done.out
    assert "pending" not in done.out
    document = run_cli(cli.capsys, *status, "--json").document
    assert (document["kernel"]["pending_changes"], document["kernel"]["draining"]) == (None, 0)
    assert document["virtual_services"] == []


@pytest.mark.parametrize("document", ["site", "node"])
def test_document_that_was_named_must_be_readable(cli: DirectorCli, document: str) -> None:
    getattr(cli, document).unlink()
    done = cli.run("status")
    assert (done.code, done.out) == (ExitCode.NO_INPUT, "")
    assert f"cannot read {getattr(cli, document)}" in done.err


def test_wrong_document_is_refused(cli: DirectorCli) -> None:
    cli.write("virtual_services: 5\n")
    assert cli.run("status").code == ExitCode.CONFIG


def test_reason_of_an_order_repaints_nothing(daemon: DaemonCli) -> None:
    daemon.run("rs", "drain", "rs1", "--reason", "\x1b[2Jx\nweb  192.0.2.99  serving\u202e")
    for options in ((), ("--json",)):
        done = daemon.run("status", *options)
        assert r"\x1b[2Jx\nweb  192.0.2.99  serving\u202e" in done.out.replace("\\\\", "\\")
        assert all(line.isprintable() for line in done.out.split("\n"))
