"""What the daemon keeps in the state directory."""

import contextlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernelbal.errors import StateError
from kernelbal.health.decision import Memory, ServerMemory
from kernelbal.model.address import parse_address
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.overlay import Admin, OperatorKey, Order, ServerState
from kernelbal.model.site.services import ServerKey
from kernelbal.store.daemon import ORDERS, DaemonState, GoodDocuments, HealthRecord
from kernelbal.store.state import HEALTH_FILE

A = parse_address("10.0.0.11")
GIVEN = {OperatorKey(A, "web"): Order(Admin.DRAIN, 1.0, 2.0, hold=True, by="root", reason="update")}
KEPT = HealthRecord(
    "boot1",
    {"k": ProbeState(Health.UP, 1.5)},
    Memory({ServerKey("web", A): ServerMemory(ServerState.SERVING, up=True)}),
)


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def store(tmp_path: Path) -> DaemonState:
    return DaemonState(tmp_path / "state", lambda: "boot1")


def test_at_first_there_is_nothing(store: DaemonState) -> None:
    assert store.load_orders() == {}
    assert store.load_health() == HealthRecord("boot1")
    assert store.load_good() is None
    assert not store.path.exists()


def test_orders_outlive_a_reboot_and_health_does_not(store: DaemonState) -> None:
    store.save_orders(GIVEN)
    store.save_health(KEPT)
    assert store.load_health() == KEPT
    rebooted = DaemonState(store.path, lambda: "boot2")
    assert rebooted.load_orders() == GIVEN
    assert rebooted.load_health() == HealthRecord("boot2")


def test_a_release_forgets_health_and_keeps_orders(store: DaemonState) -> None:
    """With nothing in the kernel there is nothing to go on with; what operators ordered still holds."""
    store.save_orders(GIVEN)
    store.save_health(KEPT)
    store.clear()
    assert store.load_health() == HealthRecord("boot1")
    assert store.load_orders() == GIVEN


def test_documents_come_back_as_they_were(store: DaemonState) -> None:
    documents = GoodDocuments("# größer\na: 1\n".encode(), b"b: 2\n")
    store.save_good(documents)
    assert store.load_good() == documents


def test_documents_that_were_in_force_together_stay_together_wherever_a_crash_comes(
    store: DaemonState, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = (GoodDocuments(f"site {n}".encode(), f"node {n}".encode()) for n in range(2))
    steps_left = math.inf

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 (passed on)
            nonlocal steps_left
            steps_left -= 1
            if steps_left < 0:
                raise Crash
            return call(*arguments, **named)

        return step

    for name in ("open", "fchmod", "fsync", "replace"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    found = []
    for steps in range(20):
        steps_left = math.inf
        store.save_good(before)
        steps_left = steps
        with contextlib.suppress(Crash):
            store.save_good(after)
        steps_left = math.inf
        found.append(store.load_good())
    assert set(found) == {before, after}
    assert found[-1] == after


@pytest.mark.parametrize("name", [ORDERS.name, HEALTH_FILE])
@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 9}', '{"schema": 2}', "{" * 10000])
def test_a_damaged_record_is_an_error_that_names_the_file(store: DaemonState, name: str, text: str) -> None:
    store.path.mkdir(parents=True)
    (store.path / name).write_text(text)
    with pytest.raises(StateError, match=name):
        store.load_orders() if name == ORDERS.name else store.load_health()


def test_whoever_moves_damaged_orders_away_is_told_what_that_means(store: DaemonState) -> None:
    store.path.mkdir(parents=True)
    (store.path / ORDERS.name).write_text("")
    with pytest.raises(StateError) as raised:
        store.load_orders()
    assert "the orders of its copy hold" in (raised.value.hint or "")


@pytest.mark.parametrize("lost", ["orders.json", "orders.copy.json"])
def test_orders_outlive_the_loss_of_either_file(store: DaemonState, lost: str) -> None:
    store.save_orders(GIVEN)
    (store.path / lost).write_bytes(b"")
    (damage,) = store.recover()
    assert damage.kept == damage.file + ".bad"
    assert store.load_orders() == GIVEN
    assert store.recover() == ()


def test_a_copy_is_not_asked_while_there_are_orders(store: DaemonState) -> None:
    store.save_orders(GIVEN)
    text = (store.path / "orders.json").read_bytes()
    store.save_orders({})
    (store.path / "orders.copy.json").write_bytes(text)
    assert store.load_orders() == {}
