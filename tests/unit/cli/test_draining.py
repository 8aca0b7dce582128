"""Waiting for leaving real servers, with a line that says for which."""

import pytest

from kernelbal.cli.draining import draining_text, wait_for_drains
from kernelbal.model.ipvs import DrainKey
from kernelbal.plan.document import planned_drain
from kernelbal.plan.kind import DEFAULT_OPTIONS, DesiredState, PendingDrain
from kernelbal.reconcile.round import Reconciler
from tests.support.cli_harness import SITE, WEB, A, B, DirectorCli

FIRST = PendingDrain(DrainKey(WEB, A), 1, 5)
SECOND = PendingDrain(DrainKey(WEB, B), 2, 9)
THIRD = PendingDrain(DrainKey(WEB, A), 3, 7)


@pytest.mark.parametrize(
    ("pending", "text"),
    [
        ([FIRST], "draining 10.0.0.11:80 of `web`: 1 connection, 5 s left"),
        ([FIRST, SECOND], "draining 10.0.0.12:80 of `web`: 2 connections, 9 s left, and 1 other real server"),
        (
            [FIRST, SECOND, THIRD],
            "draining 10.0.0.12:80 of `web`: 2 connections, 9 s left, and 2 other real servers",
        ),
    ],
)
def test_longest_wait_stands_for_the_others(pending: list[PendingDrain], text: str) -> None:
    drains = [planned_drain(each, {WEB: "web"}) for each in pending]
    assert draining_text(drains) == text


def test_each_change_of_who_is_waited_for_is_told_once(cli: DirectorCli) -> None:
    cli.apply(SITE)
    cli.kernel.load(WEB, active=1)
    reconciler = Reconciler(cli.kernel, cli.store, lambda: cli.now)
    report = wait_for_drains(reconciler, DesiredState(), DEFAULT_OPTIONS, {})
    assert report.converged
    assert cli.now == 1020
    assert cli.capsys.readouterr() == (
        "",
        "draining 10.0.0.12:80 of 192.0.2.10:80/tcp: 1 connection, 19 s left, and 1 other real server\n",
    )
