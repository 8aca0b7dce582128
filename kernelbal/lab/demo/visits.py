"""The client's requests, counted by who answered and whom that server took for the client."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kernelbal.lab.traffic import http_ask

if TYPE_CHECKING:
    from kernelbal.lab.namespaces import Host
    from kernelbal.lab.traffic import HttpAnswer

ENOUGH_FAILURES: Final = 3
"""After this many failures the verdict is clear; each of the others might have to be waited for."""


@dataclass(frozen=True, slots=True)
class Visits:
    """How requests to one virtual service went.

    Attributes:
        wanted: requests that were to be made.
        asked: requests that were made.
        answers: number by real server and the client that it saw.
        failures: number by reason.
    """

    wanted: int
    asked: int
    answers: Counter[HttpAnswer] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def answers_of(self, server: str) -> int:
        """Return how many answers came from a real server."""
        return sum(count for answer, count in self.answers.items() if answer.server == server)

    def clients_of(self, server: str) -> tuple[str, ...]:
        """Return whom a real server took for the client, sorted."""
        return tuple(sorted({answer.client for answer in self.answers if answer.server == server}))


def visit(client: Host, address: str, wanted: int) -> Visits:
    """Make requests one after the other, each on a connection of its own, until several have failed."""
    answers: Counter[HttpAnswer] = Counter()
    failures: Counter[str] = Counter()
    asked = 0
    while asked < wanted and failures.total() < ENOUGH_FAILURES:
        asked += 1
        try:
            answers[http_ask(client, address)] += 1
        except TimeoutError:
            failures["no answer in time"] += 1
        except OSError as error:
            failures[(error.strerror or str(error)).lower()] += 1
    return Visits(wanted, asked, answers, failures)
