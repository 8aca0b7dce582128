"""Firewall marks of probe paths, and what their tunnels add."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.health.path_marks import (
    PATH_MARK_BASE,
    PATH_MARK_MASK,
    ProbePath,
    assign_path_marks,
    overhead_bytes,
    path_attributes,
    path_hops,
)
from kernelbal.model.address import Address, parse_address
from kernelbal.model.ipvs import DestinationAttributes, Forwarding
from kernelbal.model.site import Site
from kernelbal.model.site.services import VirtualService
from kernelbal.plan.marks import MARK_BASE
from tests.unit.health.scene import site_of

VIRTUAL = parse_address("192.0.2.10")
DSR = DestinationAttributes(int(Forwarding.DSR), 1)
V4, V6 = parse_address("10.0.0.11"), parse_address("fd00::11")
NO_SITE = Site()


def path_to(number: int) -> ProbePath:
    """A path to one of many real servers."""
    return ProbePath(VIRTUAL, Address(bytes([10, *number.to_bytes(3, "big")])), DSR)


def service(**more: object) -> VirtualService:
    """A virtual service."""
    base = {"name": "web", "address": "192.0.2.10", "ports": 80, "forwarding": "dsr"}
    return VirtualService.model_validate({**base, **more})


def colliding() -> tuple[ProbePath, ProbePath]:
    """Two paths whose marks derive to the same number."""
    seen: dict[int, ProbePath] = {}
    for number in range(1 << 24):
        path = path_to(number)
        if path.offset in seen:
            return seen[path.offset], path
        seen[path.offset] = path
    raise AssertionError


@given(st.sets(st.integers(0, (1 << 24) - 1), max_size=300))
def test_marks_are_unique_and_clear_of_those_of_services(numbers: set[int]) -> None:
    marks = assign_path_marks(NO_SITE, map(path_to, numbers))
    assert len(set(marks.values())) == len(marks) == len(numbers)
    assert {mark & ~PATH_MARK_MASK for mark in marks.values()} <= {PATH_MARK_BASE}
    assert PATH_MARK_BASE & ~PATH_MARK_MASK != MARK_BASE & ~PATH_MARK_MASK


@given(st.sets(st.integers(0, 5000), min_size=2, max_size=50), st.randoms())
def test_order_of_paths_does_not_matter(numbers: set[int], random: Random) -> None:
    paths = [path_to(number) for number in numbers]
    shuffled = random.sample(paths, len(paths))
    assert assign_path_marks(NO_SITE, paths) == assign_path_marks(NO_SITE, shuffled)


def test_taken_mark_moves_on_to_the_next() -> None:
    first, second = sorted(colliding())
    marks = assign_path_marks(NO_SITE, [second, first])
    assert marks[second] == marks[first] + 1 == PATH_MARK_BASE + first.offset + 1


@pytest.mark.parametrize("taken_by", ["mark", "check"])
def test_marks_of_the_document_are_left_alone(taken_by: str) -> None:
    mark = PATH_MARK_BASE + path_to(1).offset
    settings: dict[str, object] = {"mark": mark} if taken_by == "mark" else {"check": {"mark": mark}}
    site = Site(virtual_services=(service(**settings),))
    assert assign_path_marks(site, [path_to(1)]) == {path_to(1): mark + 1}


def test_mark_wraps_around_within_its_range() -> None:
    last = PATH_MARK_BASE + PATH_MARK_MASK
    path = next(path_to(number) for number in range(1 << 24) if path_to(number).offset > PATH_MARK_MASK - 40)
    blocked = [service(name=f"s{mark}", mark=mark) for mark in range(PATH_MARK_BASE + path.offset, last + 1)]
    assert assign_path_marks(Site(virtual_services=tuple(blocked)), [path]) == {path: PATH_MARK_BASE}


def test_path_forwards_as_its_service_does() -> None:
    assert path_attributes(service()) == DSR
    gue = {"type": "gue", "port": 6080, "checksum": "full"}
    tunneled = path_attributes(service(forwarding="tunnel", tunnel=gue))
    assert tunneled == DestinationAttributes(int(Forwarding.TUNNEL), 1, 0, 0, 1, 6080, 1)
    assert path_attributes(service(forwarding="tunnel")).tunnel_type == 0
    sorry = {"address": "10.0.0.9", "forwarding": "tunnel"}
    assert path_attributes(service(tunnel=gue, sorry_server=sorry)) == DSR


def test_only_dsr_bounds_the_hops() -> None:
    assert path_hops(service()) == 2
    assert path_hops(service(forwarding="tunnel")) == 0


@pytest.mark.parametrize(
    ("forwarding", "tunnel", "four", "six"),
    [
        ("nat", "", 0, 0),
        ("dsr", "", 0, 0),
        ("tunnel", "", 20, 40),
        ("tunnel", "tunnel: {type: gue, port: 5555, checksum: remote}", 40, 60),
    ],
)
def test_overhead(forwarding: str, tunnel: str, four: int, six: int) -> None:
    """`tests/lab/test_rs_verify.py` compares it with what the kernel takes."""
    (service,) = site_of(tunnel, forwarding=forwarding).virtual_services
    assert (overhead_bytes(service, V4), overhead_bytes(service, V6)) == (four, six)
