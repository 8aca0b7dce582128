"""The director's status as people read it."""

import pytest
from msgspec import structs

from kernelbal.cli.director_view import age, heading, server_row, service_title, warnings, why
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.standing import Admin, Mode
from kernelbal.model.status import AdminStatus
from kernelbal.plan.hidden_clients import HINT
from tests.support.cli_harness import DaemonCli
from tests.support.fake_control import director_status, down_server_status, server_status, service_status


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "never"), (0, "0s"), (0.9, "0s"), (59.9, "59s"), (60, "1m"), (3725, "1h2m"), (90000, "1d1h")],
)
def test_age_has_two_units_at_most(seconds: float | None, text: str) -> None:
    assert age(seconds) == text


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
