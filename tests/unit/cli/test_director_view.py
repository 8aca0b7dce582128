"""The director's status as people read it."""

import pytest
from msgspec import structs

from kernelbal.cli.director_view import (
    SHOWN_FAILING,
    failing_lines,
    heading,
    server_row,
    service_title,
    warnings,
    why,
)
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.overlay import Admin, Mode
from kernelbal.model.status import AdminStatus, DirectorStatus, FailingStatus, QuarantineStatus
from kernelbal.plan.hidden_clients import HINT
from tests.support.cli_harness import DaemonCli
from tests.support.fake_control import (
    director_status,
    down_server_status,
    failing_status,
    server_status,
    service_status,
)


def test_heading_says_how_old_things_are() -> None:
    assert (
        heading(director_status())[1]
        == "kernel matches site.yaml (read 3s ago), 2 probes, connection counts 1s old"
    )


def test_heading_counts_what_does_not_simply_serve() -> None:
    sorry = structs.replace(service_status("mail"), mode=Mode.SORRY)
    assert heading(director_status([service_status(), sorry]))[2] == (
        "virtual services 2 (1 sorry), real servers 4 (2 down)"
    )
    assert heading(director_status([]))[2] == "virtual services 0, real servers 0"


def test_service_line_shouts_when_it_does_not_serve() -> None:
    sorry = structs.replace(service_status(), mode=Mode.SORRY)
    assert "SORRY since 2h, 1 of 2 usable, quorum 1" in service_title(sorry)


def test_row_of_one_that_is_down() -> None:
    row = server_row(down_server_status())
    assert row[:4] == ("rs2 10.0.0.12", "down", "1m1s", "0/100")
    assert row[-1] == "http: no answer within 4 s; down"


def test_ipv6_with_a_port_stands_in_brackets() -> None:
    server = structs.replace(server_status("2001:db8::1", None), port=8080)
    assert server_row(server)[0] == "[2001:db8::1]:8080"
    assert why(server) == ""


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("drained by root: new kernel", "drained by root: new kernel; cut in 58s"),
        ("refused", "refused; drain by root: new kernel; cut in 58s"),
        ("", "drain by root: new kernel; cut in 58s"),
    ],
)
def test_an_order_is_told_once(reason: str, text: str) -> None:
    order = AdminStatus(
        order=Admin.DRAIN,
        by="root",
        reason="new kernel",
        since="2026-01-01T00:00:00Z",
        everywhere=True,
        hold=False,
        left_s=58.4,
        done=False,
    )
    assert why(structs.replace(server_status(), reason=reason, admin=order)) == text


def test_what_awaits_confirmation_is_warned_of() -> None:
    config = structs.replace(director_status().config, confirm_left_s=42.0)
    (warning,) = warnings(structs.replace(director_status(), config=config))
    assert warning == "what was applied awaits confirmation, 42s left: `kernelbal confirm` keeps it"


def test_what_is_stale_or_refused_is_warned_of() -> None:
    status = director_status()
    config = structs.replace(status.config, refused="2 problems", problems=["site.yaml:1:1: x"])
    checker = structs.replace(status.checker, alive=False, last_s=75.0)
    server = server_status()
    check = structs.replace(server.checks[0], warning="the certificate expires in 3 days")
    web = service_status(servers=[structs.replace(server, checks=[check])])
    hidden = structs.replace(status.table, hidden_clients="300 of 300 connections")
    parts = {"table": hidden, "config": config, "checker": checker}
    bad = structs.replace(status, **parts, counters_s=40.0, virtual_services=[web])
    assert warnings(status) == []
    assert warnings(bad) == [
        "the documents on disk are not in force: 2 problems; the site of 2h ago stays in force",
        "  site.yaml:1:1: x",
        "the health checker does not run; states are 1m15s old",
        "connection counts are old: 40s",
        f"300 of 300 connections; {HINT}",
        "web, rs1 10.0.0.11: the certificate expires in 3 days",
    ]
    unstable = structs.replace(status.checker, unstable=True, last_s=2.0)
    assert warnings(structs.replace(status, checker=unstable)) == [
        "the health checker keeps ending; states are 2s old"
    ]
    held = QuarantineStatus(check="check http of 10.0.0.11 port 80", reason="it hangs", next_s=58.4)
    assert warnings(
        structs.replace(status, checker=structs.replace(checker, alive=True, quarantined=[held]))
    ) == ["check http of 10.0.0.11 port 80 is not run, next attempt in 58s: it hangs"]


def test_status_of_one_service(daemon: DaemonCli) -> None:
    daemon.control.now = director_status([service_status("web"), service_status("mail", [])])
    done = daemon.run("status", "--service", "mail")
    assert done.code == ExitCode.OK
    assert "mail  192.0.2.10" in done.out
    assert "web" not in done.out
    done = daemon.run("status", "--service", "dns")
    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "there are: web, mail" in done.err


def test_status_is_watched_until_the_daemon_ends(daemon: DaemonCli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        daemon.slept.append(seconds)
        if len(daemon.slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    done = daemon.run("status", "--watch", "--interval", "5")
    assert done.code == ExitCode.INTERRUPTED
    assert done.out.count("director lb1") == 3
    assert daemon.slept == [5.0] * 3


def refusing(*objects: FailingStatus) -> DirectorStatus:
    status = director_status()
    assert status.reconcile is not None
    found = structs.replace(
        status.reconcile, converged=False, failing=len(objects), failing_objects=list(objects)
    )
    return structs.replace(status, reconcile=found)


def test_what_the_kernel_refuses_is_named_with_its_error_remedy_and_next_attempt() -> None:
    address = failing_status(
        change="+ address 192.0.2.11/32 dev eth9", operation="add address", errno="", hint="", holds_back=0
    )
    status = refusing(failing_status(), address)
    assert heading(status)[1].startswith(
        "kernel does not match site.yaml: 2 objects are refused (read 3s ago)"
    )
    assert status.reconcile is not None
    assert failing_lines(status.reconcile.failing_objects, status.reconcile.failing) == [
        "",
        "2 objects refused by the kernel:",
        "  + service `web` 192.0.2.10:80/tcp wlc",
        "    add virtual service: ENOENT, the kernel has no scheduler `wlc`",
        "    hint: modprobe ip_vs_wlc",
        "    for 3m20s, 8 attempts, next in 42s; 2 other changes wait for it",
        "  + address 192.0.2.11/32 dev eth9",
        "    add address: the kernel has no scheduler `wlc`",
        "    for 3m20s, 8 attempts, next in 42s",
    ]


def test_many_that_are_refused_are_counted() -> None:
    lines = failing_lines([failing_status()] * 100, 5000)
    assert lines[-1] == f"  ... and {5000 - SHOWN_FAILING} more: see --json"
