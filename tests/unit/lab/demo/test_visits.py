"""Requests are counted by who answered; failures are counted by reason, and soon end it."""

from collections.abc import Iterator
from typing import cast

import pytest

from kernelbal.lab.demo import visits
from kernelbal.lab.demo.visits import visit
from kernelbal.lab.namespaces import Host
from kernelbal.lab.traffic import HttpAnswer

NOBODY = cast(Host, None)
RS1, RS2 = HttpAnswer("rs1", "10.0.0.100"), HttpAnswer("rs2", "10.0.0.100")


def answering(monkeypatch: pytest.MonkeyPatch, outcomes: list[HttpAnswer | OSError]) -> Iterator[object]:
    """Let requests have these outcomes, in turn and for ever."""
    left = iter(outcomes * 100)

    def ask(host: Host, address: str) -> HttpAnswer:
        outcome = next(left)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    monkeypatch.setattr(visits, "http_ask", ask)
    return left


def test_answers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [RS1, RS2, RS1, RS1._replace(client="10.0.0.1")])
    found = visit(NOBODY, "10.0.0.80", 8)
    assert (found.wanted, found.asked, found.failures) == (8, 8, {})
    assert (found.answers_of("rs1"), found.answers_of("rs2"), found.answers_of("rs3")) == (6, 2, 0)
    assert found.clients_of("rs1") == ("10.0.0.1", "10.0.0.100")
    assert found.clients_of("rs3") == ()


def test_failures_are_counted_by_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = ConnectionRefusedError(111, "Connection refused")
    answering(monkeypatch, [RS1] * 5 + [TimeoutError(), refused, ConnectionResetError("cut")])
    found = visit(NOBODY, "10.0.0.80", 8)
    assert found.failures == {"no answer in time": 1, "connection refused": 1, "cut": 1}
    assert found.asked == 8


def test_third_failure_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [RS1, TimeoutError()])
    found = visit(NOBODY, "10.0.0.80", 200)
    assert (found.wanted, found.asked) == (200, 6)
    assert found.answers.total() == 3
