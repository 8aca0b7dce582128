"""Limits of the checker's own process; each runs in a process of its own."""

import resource
import subprocess
import sys

import pytest

from kernelbal.runtime.checker.limits import SPARE_DESCRIPTORS


def limits_after(soft: int, hard: int, probes: int) -> list[int]:
    """Return the limits of descriptors after so many probes were asked for."""
    program = (
        "import resource\n"
        "from kernelbal.runtime.checker.limits import raise_descriptors\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        f"raise_descriptors({probes})\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


@pytest.mark.parametrize(
    ("soft", "hard", "probes", "expected"),
    [
        (1024, 4096, 10, [1024, 4096]),
        (1024, 4096, 2000, [2000 + SPARE_DESCRIPTORS, 4096]),
    ],
)
def test_the_limit_rises_to_what_may_be_needed(
    soft: int, hard: int, probes: int, expected: list[int]
) -> None:
    assert limits_after(soft, hard, probes) == expected


def test_beyond_what_is_allowed_it_rises_as_far_as_it_can() -> None:
    soft, hard = limits_after(256, 1024, 5000)
    assert soft in (1024, 5000 + SPARE_DESCRIPTORS)
    assert hard == soft
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0
