"""Commands that ask a running daemon: what they send, print, and end with, is as without one."""

import json
from pathlib import Path

import pytest
from msgspec import structs

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.errors import (
    ConfigError,
    InvalidRequest,
    KernelbalError,
    NotPermitted,
    PlanRefused,
    Problem,
    Span,
)
from kernelbal.model.answers import PlannedDrain, Remark
from tests.support.cli_harness import NODE, SITE, DaemonCli
from tests.support.fake_control import apply_answer, plan_answer

ADDED = "service `web` 192.0.2.10:80/tcp wlc"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """The documents of a site, as arguments."""
    site, node = tmp_path / "site.yaml", tmp_path / "node.yaml"
    site.write_text(SITE)
    node.write_text(NODE)
    return (str(site), "--node", str(node))


def test_plan_sends_the_documents_and_prints_the_answer(daemon: DaemonCli, files: tuple[str, ...]) -> None:
    daemon.control.planned = plan_answer(ADDED)
    done = daemon.run("plan", *files, "--detailed-exitcode")
    assert (done.code, done.out) == (ExitCode.CHANGES, f"+ {ADDED}\n1 to add, 0 to change, 0 to remove\n")
    (request,) = daemon.control.plans
    assert (request.site, request.node, request.site_name) == (SITE, NODE, files[0])


def test_a_plan_in_json_has_one_shape(daemon: DaemonCli, files: tuple[str, ...]) -> None:
    daemon.control.planned = plan_answer(ADDED)
    document = daemon.run("plan", *files, "--json").document
    assert (document["schema"], document["changes"], document["actions"][0]["text"]) == (1, 1, ADDED)
    assert daemon.control.plans[0].most is None


def test_what_may_not_work_is_a_warning(daemon: DaemonCli, files: tuple[str, ...]) -> None:
    remark = Remark(message="no route", hint="add one")
    daemon.control.planned = structs.replace(plan_answer(), warnings=[remark])
    assert daemon.run("plan", *files).err == "warning: no route\n  hint: add one\n"


def test_problems_of_a_document_keep_their_places(daemon: DaemonCli, files: tuple[str, ...]) -> None:
    problem = Problem("virtual_services", "wrong", "a list", "write one", Span(files[0], 1, 1))
    daemon.control.error = ConfigError((problem,))
    done = daemon.run("plan", *files)
    assert done.code == ExitCode.CONFIG
    assert f"{files[0]}:1:1: virtual_services: " in done.err
    assert "    1 | virtual_services:" in done.err, "the line is shown as without a daemon"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PlanRefused("it would not work", "change it"), ExitCode.FAILED),
        (NotPermitted("add", "table", 1, "not permitted", "run it as root"), ExitCode.PERMISSION),
    ],
)
def test_an_error_of_the_daemon_is_that_of_the_command(
    daemon: DaemonCli, files: tuple[str, ...], error: KernelbalError, code: ExitCode
) -> None:
    daemon.control.error = error
    for command in ("plan", "apply"):
        done = daemon.run(command, *files)
        assert (done.code, done.err) == (code, f"error: {error.message}\n  hint: {error.hint}\n")


def test_a_document_that_is_no_text_is_refused_before_it_is_sent(
    daemon: DaemonCli, files: tuple[str, ...]
) -> None:
    Path(files[0]).write_bytes(b"virtual_services: \xff\n")
    assert daemon.run("plan", *files).code == ExitCode.CONFIG
    assert daemon.control.plans == []


def test_apply_names_the_files_and_reports_the_round(daemon: DaemonCli, files: tuple[str, ...]) -> None:
    daemon.control.applied = apply_answer(ADDED)
    done = daemon.run("apply", *files)
    assert done.out == (
        f"+ {ADDED}\n1 to add, 0 to change, 0 to remove\napplied 1 change; kernel matches site.yaml\n"
    )
    ((request, by),) = daemon.control.applies
    assert request is not None
    assert (request.site, request.confirm_s, by) == (files[0], None, "root")


def test_an_apply_in_json_has_one_shape(daemon: DaemonCli, files: tuple[str, ...]) -> None:
    daemon.control.applied = apply_answer(ADDED)
    document = daemon.run("apply", *files, "--json").document
    counts = ("changes", "failed", "skipped")
    assert list(document) == ["schema", "converged", *counts, "outcomes", "remaining", "draining"]


def test_an_apply_on_trial_is_confirmed_or_undone(daemon: DaemonCli, files: tuple[str, ...]) -> None:
    daemon.control.applied = apply_answer(ADDED, confirm_left_s=60.0)
    done = daemon.run("apply", *files, "--confirm", "60s")
    assert "rolled back in 1m unless `kernelbal confirm` is run" in done.err
    assert daemon.control.applies[0][0] is not None
    assert daemon.control.applies[0][0].confirm_s == 60.0
    assert daemon.run("confirm").out == "confirmed: the changes stay\n"
    assert daemon.run("rollback").out == "rolled back with 1 change\n"
    assert len(daemon.control.applies) == 3


def test_apply_waits_for_drains_that_the_daemon_ends(
    daemon: DaemonCli, files: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = PlannedDrain(
        service="192.0.2.10:80/tcp", name="web", real_server="10.0.0.12:80", connections=2, left_s=9.0
    )
    daemon.control.applied = apply_answer(ADDED, draining=1)
    daemon.control.planned = plan_answer(draining=[drain])

    def sleep(_: float) -> None:
        daemon.control.planned = plan_answer()

    monkeypatch.setattr("time.sleep", sleep)
    done = daemon.run("apply", *files)
    assert "draining 10.0.0.12:80 of `web`: 2 connections, 9 s left" in done.err
    assert "still draining" not in done.err
    assert len(daemon.control.plans) == 2


def test_explain_asks_the_daemon(daemon: DaemonCli) -> None:
    done = daemon.run("explain", "198.51.100.7", "192.0.2.10")
    assert done.code == ExitCode.OK
    assert done.out.startswith("198.51.100.7 -> 192.0.2.10:80/tcp, in the running kernel\n")
    assert daemon.control.explains[0].port is None
    document = json.loads(daemon.run("explain", "198.51.100.7", "192.0.2.10", "--json").out)
    assert (document["outcome"], document["candidates"]) == ("elsewhere", [])


def test_a_port_that_is_missing_is_a_usage_error_as_without_a_daemon(daemon: DaemonCli) -> None:
    daemon.control.error = InvalidRequest("which port? its services are on ports 80, 443", "add it")
    assert daemon.run("explain", "198.51.100.7", "192.0.2.10").code == ExitCode.USAGE
