"""Finding a path MTU."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.health.mtu_search import FLOOR_BYTES, MtuSearch
from kernelbal.model.address import AF_INET, AF_INET6


def search(family: int, ceiling: int, truth: int) -> tuple[int, list[int]]:
    """Search a path that takes `truth` bytes; return what was found, and the sizes that were tried."""
    searching, tried = MtuSearch(family, ceiling), []
    while (size := searching.size) is not None:
        tried.append(size)
        searching.take(size <= truth)
    return searching.found_bytes, tried


def test_a_path_like_its_device_takes_one_packet() -> None:
    assert search(AF_INET, 1500, 1500) == (1500, [1500])


def test_a_host_that_does_not_answer_takes_two() -> None:
    assert search(AF_INET, 1500, 0) == (0, [1500, 576])
    assert search(AF_INET6, 1280, 0) == (0, [1280])


@pytest.mark.parametrize("truth", [576, 1280, 1400, 1476, 1499])
def test_a_narrow_path_is_measured_exactly(truth: int) -> None:
    found, tried = search(AF_INET, 1500, truth)
    assert found == truth
    assert len(tried) <= 12


@given(st.sampled_from((AF_INET, AF_INET6)), st.integers(68, 65535), st.data())
def test_every_path_is_measured_with_few_packets(family: int, ceiling: int, data: st.DataObject) -> None:
    floor = min(FLOOR_BYTES[family], ceiling)
    truth = data.draw(st.integers(floor, ceiling))
    found, tried = search(family, ceiling, truth)
    assert found == truth
    assert len(tried) <= 18
    assert len(set(tried)) == len(tried)


def test_what_comes_after_the_end_changes_nothing() -> None:
    searching = MtuSearch(AF_INET, 1500)
    searching.take(True)
    searching.take(False)
    assert (searching.size, searching.found_bytes) == (None, 1500)
