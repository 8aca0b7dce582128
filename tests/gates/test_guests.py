"""How guests share the tests of a run: each is taken once, and guests are started where they are of use."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kernelbal.lab.backends.base import Backend
from kernelbal.lab.errors import BackendUnavailable
from tests.guests import TAKEN_DIRECTORY, WORTH_A_GUEST, Batch, selected, taken


@pytest.fixture
def batches(pytestconfig: pytest.Config) -> Iterator[list[Batch]]:
    """Collects what a test makes."""
    made: list[Batch] = []
    yield made
    for batch in made:
        batch.clean_up()


def batch_of(batches: list[Batch], config: pytest.Config, backend: str, tests: int) -> Batch:
    chosen: Any = SimpleNamespace(name=backend)
    batch = Batch(config, lambda: chosen)
    batches.append(batch)
    batch.node_ids = [f"test_it.py::test_{number}" for number in range(tests)]
    batch.prepare()
    return batch


def exchange_of(batch: Batch) -> Path:
    guest = batch.next_guest()
    assert guest is not None
    return guest.reports_file.parent


def test_two_guests_take_every_test_once(tmp_path: Path) -> None:
    (tmp_path / TAKEN_DIRECTORY).mkdir()
    items: list[Any] = [f"test {number}" for number in range(20)]
    one: Iterator[Any] = taken(tmp_path, items)
    other: Iterator[Any] = taken(tmp_path, items)
    by_one, by_other = [next(one), next(one)], [next(other)]
    by_one.append(next(one))
    by_other += other
    by_one += one
    assert by_one == [items[0], items[1], items[3]]
    assert sorted([*by_one, *by_other]) == sorted(items)


def test_a_batch_knows_its_tests(batches: list[Batch], pytestconfig: pytest.Config) -> None:
    batch = batch_of(batches, pytestconfig, "uml", 3)
    assert selected(exchange_of(batch)) == batch.node_ids


@pytest.mark.parametrize(
    ("backend", "tests", "guests"),
    [("uml", 1, 1), ("uml", WORTH_A_GUEST - 1, 1), ("uml", WORTH_A_GUEST, 3), ("netns", 100, 1)],
)
def test_another_guest_is_started_where_it_is_worth_it(
    batches: list[Batch], pytestconfig: pytest.Config, backend: str, tests: int, guests: int
) -> None:
    batch = batch_of(batches, pytestconfig, backend, tests)
    assert sum(batch.next_guest() is not None for _ in range(3)) == guests


def test_no_guest_follows_one_that_never_came_up(batches: list[Batch], pytestconfig: pytest.Config) -> None:
    batch = batch_of(batches, pytestconfig, "uml", 100)
    first = batch.next_guest()
    assert first is not None
    first.ended_because = "the guest ended without a result"
    assert batch.next_guest() is None


def test_no_guest_is_started_once_all_were_told_to_stop(
    batches: list[Batch], pytestconfig: pytest.Config
) -> None:
    batch = batch_of(batches, pytestconfig, "uml", 100)
    batch.tell_to_stop()
    assert batch.next_guest() is None


def test_a_refusal_is_kept(batches: list[Batch], pytestconfig: pytest.Config) -> None:
    def refuse() -> Backend:
        raise BackendUnavailable("there is none")

    batch = Batch(pytestconfig, refuse)
    batches.append(batch)
    batch.prepare()
    assert (batch.refusal, batch.next_guest()) == ("there is none", None)
