"""Quorum with hysteresis, and what follows from it."""

import pytest

from kernelbal.health.quorum import has_quorum, mode_of, removed_on_down
from kernelbal.model.overlay import Mode
from kernelbal.model.site.services import VirtualService
from tests.unit.health.scene import site_of


def web(more: str = "") -> VirtualService:
    return site_of(more).virtual_services[0]


def test_without_hysteresis_the_number_decides() -> None:
    service = web("quorum: 2")
    for before in (None, True, False):
        assert [has_quorum(service, usable, before) for usable in range(4)] == [False, False, True, True]


def test_it_is_lost_below_and_gained_above() -> None:
    service = web("quorum: 3\n    hysteresis: 1")
    assert [has_quorum(service, usable, True) for usable in range(5)] == [False, False, True, True, True]
    assert [has_quorum(service, usable, False) for usable in range(5)] == [False] * 4 + [True]
    assert [has_quorum(service, usable, None) for usable in range(5)] == [False] * 3 + [True] * 2


def test_without_anybody_it_is_always_lost() -> None:
    assert not has_quorum(web("quorum: 1\n    hysteresis: 3"), 0, before=True)


def test_keeping_needs_somebody_to_keep() -> None:
    service = web("all_down: keep")
    assert mode_of(service, quorum=False, candidates=True) is Mode.KEPT
    assert mode_of(service, quorum=False, candidates=False) is Mode.REFUSING
    assert mode_of(service, quorum=True, candidates=False) is Mode.SERVING


@pytest.mark.parametrize(
    ("more", "removed"),
    [
        ("", False),
        ("protocol: udp", True),
        ("protocol: sctp", True),
        ("scheduler: dh", True),
        ("scheduler: dh\n    on_down: quiesce", False),
        ("on_down: remove", True),
    ],
)
def test_who_is_removed_on_down(more: str, removed: bool) -> None:
    assert removed_on_down(web(more)) is removed
