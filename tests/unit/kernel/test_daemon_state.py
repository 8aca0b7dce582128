"""What the daemon keeps in the state directory."""

from pathlib import Path

import pytest

from kernelbal.errors import StateError
from kernelbal.health.decision import Memory, ServerMemory
from kernelbal.kernel.daemon_codec import Standings
from kernelbal.kernel.daemon_state import ORDERS_FILE, DaemonState, GoodDocuments
from kernelbal.kernel.state import STANDINGS_FILE, StateDirectory
from kernelbal.model.address import parse_address
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.site.services import ServerKey
from kernelbal.model.standing import Admin, OperatorKey, Order

A = parse_address("10.0.0.11")
ORDERS = {OperatorKey(A, "web"): Order(Admin.DRAIN, 1.0, 2.0, hold=True, by="root", reason="update")}
STANDINGS = Standings(
    "boot1",
    {"k": ProbeState(Health.UP, 1.5)},
    Memory({ServerKey("web", A): ServerMemory("serving", up=True)}),
)


@pytest.fixture
def state(tmp_path: Path) -> DaemonState:
    return DaemonState(tmp_path / "state", lambda: "boot1")


def test_at_first_there_is_nothing(state: DaemonState) -> None:
    assert state.load_orders() == {}
    assert state.load_standings() == Standings("boot1")
    assert state.load_good() is None
    assert not state.path.exists()


def test_orders_outlive_a_reboot_and_standings_do_not(state: DaemonState) -> None:
    state.save_orders(ORDERS)
    state.save_standings(STANDINGS)
    assert state.load_standings() == STANDINGS
    rebooted = DaemonState(state.path, lambda: "boot2")
    assert rebooted.load_orders() == ORDERS
    assert rebooted.load_standings() == Standings("boot2")


def test_a_release_forgets_standings_and_keeps_orders(state: DaemonState) -> None:
    """With nothing in the kernel there is nothing to go on with; what operators ordered still holds."""
    state.save_orders(ORDERS)
    state.save_standings(STANDINGS)
    StateDirectory(state.path, lambda: "boot1").clear()
    assert state.load_standings() == Standings("boot1")
    assert state.load_orders() == ORDERS


def test_documents_come_back_as_they_were(state: DaemonState) -> None:
    documents = GoodDocuments("# größer\na: 1\n".encode(), b"b: 2\n")
    state.save_good(documents)
    assert state.load_good() == documents


@pytest.mark.parametrize("name", [ORDERS_FILE, STANDINGS_FILE])
@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": 9}', '{"schema": 1}', "{" * 10000])
def test_a_damaged_record_is_an_error_that_names_the_file(state: DaemonState, name: str, text: str) -> None:
    state.path.mkdir()
    (state.path / name).write_text(text)
    with pytest.raises(StateError, match=name):
        state.load_orders() if name == ORDERS_FILE else state.load_standings()


def test_whoever_moves_damaged_orders_away_is_told_what_that_means(state: DaemonState) -> None:
    state.path.mkdir()
    (state.path / ORDERS_FILE).write_text("")
    with pytest.raises(StateError) as raised:
        state.load_orders()
    assert "nobody is drained or disabled any more" in (raised.value.hint or "")
    assert "adopts" not in (raised.value.hint or "")
