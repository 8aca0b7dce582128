"""The judge of the daemon's part: from what was seen to a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernelbal.lab.demo.events import Claim

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

NOTICED_WITHIN_S: Final = 2.5
"""The check of the example: two failures in a row, 500 ms apart, and a good second for slow machines."""
REVERTED_WITHIN_S: Final = 1.0
REMOVED_WITHIN_S: Final = 5.0
_FEWEST_STEPS: Final = 3
"""Weights between none and all that must be seen for a climb."""


def came_up(took_s: float, weights: Mapping[str, int]) -> Claim:
    """The daemon put every real server into service that its checks found up."""
    seen = ", ".join(f"{name} {weight}" for name, weight in sorted(weights.items()))
    return Claim(
        text="kernelbal run: real servers are in service once their checks are good",
        ok=bool(weights) and all(weights.values()),
        seen=f"after {took_s:.1f} s: {seen}",
    )


def failure_noticed(server: str, took_s: float, said: str) -> Claim:
    """A real server that stopped answering gets no connections any more, and the log says why."""
    return Claim(
        text=f"{server} stops answering: it is out of service within {NOTICED_WITHIN_S:g} s",
        ok=took_s <= NOTICED_WITHIN_S and bool(said),
        seen=f"after {took_s:.2f} s; {said or 'nothing in the log'}",
    )


def others_answer(server: str, answers: Counter[str], wanted: int) -> Claim:
    """No request was lost to a real server that is out of service."""
    others = {name: count for name, count in answers.items() if name.startswith("rs") and name != server}
    return Claim(
        text=f"without {server} every request is answered by the others",
        ok=sum(others.values()) == wanted,
        seen=_counts(answers),
    )


def weight_climbed(server: str, weights: Sequence[int], full: int) -> Claim:
    """Slow start: the weight climbed in steps to its full value."""
    between = [weight for weight in weights if 0 < weight < full]
    climbing = list(weights) == sorted(weights) and bool(weights) and weights[-1] == full
    return Claim(
        text=f"{server} answers again: its weight climbs to {full}",
        ok=climbing and len(between) >= _FEWEST_STEPS,
        seen=" ".join(map(str, weights)) or "never in service",
    )


def drained(server: str, answers: Counter[str], wanted: int, alive: int, held: int) -> Claim:
    """A draining real server gets nothing new and keeps what it has."""
    others = answers.total() - answers[server]
    clean = all(name.startswith("rs") for name in answers)
    return Claim(
        text=f"draining {server}: no new connections, and none of those it has is cut",
        ok=clean and others == wanted and answers[server] == 0 and held > 0 and alive == held,
        seen=f"{_counts(answers)}; {alive} of {held} held connections still answer",
    )


def left(server: str, took_s: float) -> Claim:
    """A drained real server left the kernel by itself after its last connection."""
    return Claim(
        text=f"{server} leaves the kernel within {REMOVED_WITHIN_S:g} s of its last connection",
        ok=took_s <= REMOVED_WITHIN_S,
        seen=f"after {took_s:.1f} s",
    )


def reverted(what: str, took_s: float, said: str) -> Claim:
    """What was removed by hand came back, and the log says so."""
    return Claim(
        text=f"{what} was removed by hand: it is back within {REVERTED_WITHIN_S:g} s",
        ok=took_s <= REVERTED_WITHIN_S and bool(said),
        seen=f"after {took_s:.2f} s; {said or 'nothing in the log'}",
    )


def broken_config_refused(status: int, before: Mapping[str, int], after: Mapping[str, int]) -> Claim:
    """A broken site file was refused, and the old one stayed in force."""
    return Claim(
        text="a broken site file is refused, the old one stays in force",
        ok=status != 0 and bool(before) and before == after,
        seen=f"exit status {status}; weights {'unchanged' if before == after else 'changed'}",
    )


def crash_survived(alive: int, held: int, answers: Counter[str], wanted: int) -> Claim:
    """Nothing was cut by the daemon's death."""
    served = sum(count for name, count in answers.items() if name.startswith("rs"))
    return Claim(
        text="kill -9 of the daemon cuts no connection and refuses no new one",
        ok=held > 0 and alive == held and served == wanted,
        seen=f"{alive} of {held} held connections still answer; {served} of {wanted} requests without it",
    )


def nothing_flapped(before: Mapping[str, int], after: Mapping[str, int], log: Sequence[str]) -> Claim:
    """The restarted daemon left every weight as it was, and saw no real server come or go."""
    news = [line for line in log if " real_server." in line]
    weights = ", ".join(f"{name} {weight}" for name, weight in sorted(after.items()))
    return Claim(
        text="the restarted daemon leaves every weight as it was",
        ok=bool(before) and before == after and bool(log) and not news,
        seen=f"{weights}; {news[0] if news else 'no real server came or went'}",
    )


def stopped(status: int, weights: Mapping[str, int]) -> Claim:
    """The daemon ended politely and left the kernel serving."""
    return Claim(
        text="stopping the daemon leaves the kernel serving",
        ok=status == 0 and bool(weights) and all(weights.values()),
        seen=f"exit status {status}; {len(weights)} real servers in service",
    )


def _counts(answers: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(answers.items()))
