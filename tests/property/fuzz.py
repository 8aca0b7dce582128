"""Grammar fuzzing: messages built by rules, odd in a few fields each, so that they reach deep into a parser.

Bytes changed at random are refused by the first check that they meet. A grammar builds whole messages with
right lengths, counts and signatures, and asks a `Choices` at each field whether this one lies.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar

from kernelbal.health.checks.dialogue import MAX_REPLY_BYTES
from kernelbal.runtime.checker.reactor import READ_BYTES

T = TypeVar("T")

MOST_CALL_MS: Final = 20.0
"""Processor time of all calls for one input: a probe that costs more delays the others."""
_RATES: Final = (0.0, 0.02, 0.1, 0.3)
"""How often a field is odd: in a quarter of the messages never, in a quarter in every third field."""
_REPEATS: Final = 5
_REFERENCE_STEPS: Final = 100_000
_REFERENCE_MS: Final = 7.5
"""What so many steps take; on a machine that takes longer just then, calls may as well."""
_MOST_BYTES: Final = MAX_REPLY_BYTES + 2 * READ_BYTES
"""Most that the driver of a stream reads."""
_HOSTILE: Final = (
    b"",
    b"\0",
    b"\xff",
    b"\r\n",
    b"\n\n",
    b"\x1b[2J",
    b"\xe2\x80\xae",
    b"\x15\x03\x03",
    b"%s",
    b"9" * 20,
)


class Choices:
    """All that is random in one input; the same seed makes the same input."""

    def __init__(self, seed: int, rate: float | None = None) -> None:
        """Begin an input; `rate` from 0 (valid) to 1 is drawn where none is given."""
        self._random = random.Random(seed)
        self._rate = self.pick(_RATES) if rate is None else rate

    def odd(self) -> bool:
        """Whether this field is odd."""
        return self._random.random() < self._rate

    def pick(self, options: Sequence[T]) -> T:
        """Return one of `options`."""
        return options[int(self._random.random() * len(options))]

    def below(self, end: int) -> int:
        """Return a number from 0 to `end` - 1."""
        return int(self._random.random() * end)

    def up_to(self, most: int) -> int:
        """Return a number from 0 to `most`, as often below as above the square root of `most`."""
        return int((most + 2) ** self._random.random()) - 1

    def number(self, valid: int, bits: int) -> int:
        """Return `valid`, or an odd number of so many bits."""
        if not self.odd():
            return valid
        most = (1 << bits) - 1
        near = (0, 1, valid - 1, valid + 1, 2 * valid, most, most >> 1, (most >> 1) + 1, self.below(most))
        return min(max(self.pick(near), 0), most)

    def octets(self, valid: bytes, most: int = 3000) -> bytes:
        """Return `valid`, or other octets: none, few, hostile, or up to `most` of them."""
        if not self.odd():
            return valid
        unit = self.pick((*_HOSTILE, valid, self._random.randbytes(1 + self.below(20))))
        return (unit * (1 + self.up_to(most // max(len(unit), 1))))[:most]

    def times(self, least: int, most: int, odd_most: int) -> int:
        """Return how often something occurs: `least` to `most`; if odd, up to `odd_most` times."""
        if not self.odd():
            return least + self.below(most - least + 1)
        return self.up_to(odd_most)

    def repeated(self, data: bytes, least: int, most: int, odd_most: int) -> bytes:
        """Return `data` so many `times`, but no more than a driver reads."""
        return data * min(self.times(least, most, odd_most), 1 + _MOST_BYTES // max(len(data), 1))

    def damaged(self, data: bytes) -> bytes:
        """Return `data`, or if odd a part of it cut off, left out, repeated, or replaced."""
        if not self.odd():
            return data
        start = self.below(len(data) + 1)
        end = start + self.below(min(len(data) - start, 40) + 1)
        piece = data[start:end]
        new = self.pick((None, b"", piece * 2, piece * 50, self.pick(_HOSTILE), bytes(len(piece))))
        return data[:start] if new is None else data[:start] + new + data[end:]

    def portions(self, data: bytes) -> tuple[bytes, ...]:
        """Return `data` as a driver reads it: as much at once as it takes, or in smaller portions."""
        data = data[:_MOST_BYTES]
        cuts = {0, len(data), *range(0, len(data), READ_BYTES)}
        if data and not self.below(4):
            cuts |= {self.below(len(data)) for _ in range(3)}
        return tuple(data[start:end] for start, end in pairwise(sorted(cuts)))


class FuzzTarget(NamedTuple):
    """A parser and the grammar of what it parses.

    Attributes:
        build: makes the portions of one input.
        parse: gives them to the parser, checks what it promises, and returns the outcome: empty where it
            accepted the input, else in what way it refused.
    """

    build: Callable[[Choices], tuple[bytes, ...]]
    parse: Callable[[tuple[bytes, ...]], str]


class FuzzReport(NamedTuple):
    """What a run saw.

    Attributes:
        outcomes: how many inputs had each.
        worst_ms: processor time of the most expensive input, the least of its repeated runs if it was slow.
    """

    outcomes: Counter[str]
    worst_ms: float


class SlowInputError(AssertionError):
    """An input that costs too much each time."""


def fuzz(target: FuzzTarget, inputs: int, first_seed: int = 0) -> FuzzReport:
    """Parse `inputs` inputs, of the seeds from `first_seed` on.

    Raises:
        SlowInputError: one cost more than `MOST_CALL_MS`, and did so again when repeated.
        BaseException: whatever the parser raises, with the seed and the input in its notes.
    """
    outcomes: Counter[str] = Counter()
    worst_ms = 0.0
    for seed in range(first_seed, first_seed + inputs):
        portions = target.build(Choices(seed))
        try:
            outcome, spent_ms = _measured(target, portions)
        except BaseException as error:  # a panic of the certificate reader is no Exception
            error.add_note(f"seed {seed}: " + " ".join(each.hex() or "-" for each in portions)[:4000])
            raise
        outcomes[outcome] += 1
        worst_ms = max(worst_ms, spent_ms)
    return FuzzReport(outcomes, worst_ms)


def _measured(target: FuzzTarget, portions: tuple[bytes, ...]) -> tuple[str, float]:
    """Return the outcome and its cost; a machine that was busy once, or is slow just now, is asked again."""
    outcome, spent_ms = _timed(target, portions)
    if spent_ms > MOST_CALL_MS:
        spent_ms = min(_timed(target, portions)[1] / _slowness() for _ in range(_REPEATS))
    if spent_ms > MOST_CALL_MS:
        raise SlowInputError(f"{spent_ms:.1f} ms of processor time, expected at most {MOST_CALL_MS:g}")
    return outcome, spent_ms


def _slowness() -> float:
    """Return how much longer than usual this machine takes now: threads share a core, guests a host."""
    start_ns = time.thread_time_ns()
    total = 0
    for step in range(_REFERENCE_STEPS):
        total = (total + step * step) & 0xFFFF
    return max(1.0, (time.thread_time_ns() - start_ns) / 1e6 / _REFERENCE_MS)


def _timed(target: FuzzTarget, portions: tuple[bytes, ...]) -> tuple[str, float]:
    start_ns = time.thread_time_ns()
    outcome = target.parse(portions)
    return outcome, (time.thread_time_ns() - start_ns) / 1e6
