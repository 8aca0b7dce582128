"""`kernelbal rs`: orders for real servers."""

import pytest

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.overlay import Admin
from tests.support.cli_harness import DaemonCli


def test_drain_passes_everything_on(daemon: DaemonCli) -> None:
    done = daemon.run(
        "rs", "drain", "rs1", "--service", "web", "--timeout", "5m", "--hold", "--reason", "new kernel"
    )
    assert done == (ExitCode.OK, "draining: rs1 10.0.0.11 in web, connections: 12 active, 3 inactive\n", "")
    admin, request, by = daemon.control.orders[0]
    assert (admin, by) == (Admin.DRAIN, "root")
    assert (request.service, request.timeout_s, request.hold) == ("web", 300.0, True)
    status = daemon.run("status").out
    assert "drain by root: new kernel; cut in 5m" in status


def test_watched_drain_ends_when_it_is_drained(daemon: DaemonCli) -> None:
    daemon.control.left = [10, 6, 6, 0]
    done = daemon.run("rs", "drain", "rs1", "--timeout", "90s", "--watch")
    assert (done.code, done.out) == (ExitCode.OK, "drained: rs1 10.0.0.11 in web\n")
    lines = done.err.splitlines()
    assert lines[0] == "draining: 10 of 10 connections left, ETA unknown, cut in 1m30s"
    assert lines[1].startswith("draining: 6 of 10 connections left, ETA ")
    assert lines[-1] == "draining: 0 of 10 connections left"
    assert daemon.slept == [1.0] * 3


def test_disable_and_enable(daemon: DaemonCli) -> None:
    assert daemon.run("rs", "disable", "10.0.0.12").out == "disabled: rs2 10.0.0.12 in web\n"
    assert daemon.run("rs", "enable", "rs2").out == "enabled: rs2 10.0.0.12 in web\n"
    assert [each[0] for each in daemon.control.orders] == [Admin.DISABLE, None]


def test_json_has_what_became_of_it(daemon: DaemonCli) -> None:
    document = daemon.run("rs", "drain", "rs1", "--json").document
    assert (document["schema"], document["services"]) == (1, ["web"])
    assert document["servers"][0]["admin"]["order"] == "drain"


def test_list_names_the_service_of_each(daemon: DaemonCli) -> None:
    lines = daemon.run("rs", "list").out.splitlines()
    assert lines[1].split()[:4] == ["web", "rs1", "10.0.0.11", "serving"]
    assert lines[2].split()[:4] == ["web", "rs2", "10.0.0.12", "down"]
    assert len(daemon.run("rs", "list", "--json").document["real_servers"]) == 2


def test_unknown_real_server_is_refused_with_those_that_there_are(daemon: DaemonCli) -> None:
    done = daemon.run("rs", "drain", "rs9")
    assert done.code == ExitCode.FAILED
    assert done.err == "error: there is no real server `rs9`\n  hint: there are: rs1, rs2\n"


@pytest.mark.parametrize("timeout", ["5", "5 minutes", "90d"])
def test_timeout_that_is_none_is_a_usage_error(daemon: DaemonCli, timeout: str) -> None:
    assert daemon.run("rs", "drain", "rs1", "--timeout", timeout).code == ExitCode.USAGE
    assert daemon.control.orders == []
