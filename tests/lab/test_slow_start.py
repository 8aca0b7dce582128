"""The traffic storm of least-connection schedulers, and slow start against it, with real connections."""

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import NamespaceLab
from kernelbal.lab.traffic import held_connections
from kernelbal.model.health import Health
from tests.support.lab_director import Director

pytestmark = pytest.mark.needs_ipvs

VIRTUAL = "192.0.2.10"
RETURNING = "10.0.0.12"
SLOW_START_S = 60
AWAY_S = 120
SITE = """
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: 80
    forwarding: nat
    scheduler: {scheduler}
    slow_start: {slow_start_s}s
    check: tcp
    real_servers: [{{address: 10.0.0.11}}, {{address: 10.0.0.12}}, {{address: 10.0.0.13}}]
"""


@dataclass
class Clients:
    """Clients who come and stay."""

    lab: NamespaceLab
    stack: ExitStack
    served: list[Counter[str]] = field(default_factory=list)

    def come(self, count: int) -> Counter[str]:
        """Open connections, and return who serves them."""
        answers = self.stack.enter_context(held_connections(self.lab.client, VIRTUAL, count=count))
        self.served.append(answers)
        return answers


def storm(lab: LabFactory, scheduler: str, slow_start_s: int) -> tuple[list[int], list[int]]:
    """Bring a real server back while clients keep coming.

    Returns:
        How many of each ten connections it gets from its return on, and its weight meanwhile.
    """
    site = lab("two-arm")
    lab.serve(site.real_servers)
    director = Director(site, SITE.format(scheduler=scheduler, slow_start_s=slow_start_s))
    with ExitStack() as stack:
        clients = Clients(site, stack)
        director.see(Health.DOWN, RETURNING)
        director.round()
        assert clients.come(60).keys() == {"rs1", "rs3"}
        time.sleep(AWAY_S)
        director.see(Health.UP, RETURNING)
        shares, weights = [], []
        for _ in range(7):
            director.round()
            weights.append(director.weights()[RETURNING])
            shares.append(clients.come(10)["rs2"])
            time.sleep(SLOW_START_S / 6)
        return shares, weights


@pytest.mark.parametrize("scheduler", ["lc", "wlc"])
def test_without_slow_start_the_returning_real_server_gets_everything(
    lab: LabFactory, scheduler: str
) -> None:
    shares, weights = storm(lab, scheduler, 0)
    assert shares[:3] == [10, 10, 10]
    assert weights == [100] * 7


def test_with_slow_start_its_share_climbs(lab: LabFactory) -> None:
    shares, weights = storm(lab, "wlc", SLOW_START_S)
    assert shares[0] <= 1
    assert sum(shares[:3]) < 20
    assert weights == sorted(weights)
    assert weights[0] == 1
    assert weights[-1] == 100
    assert sum(shares) >= 20, "in the end it has its part of the work"
    assert max(shares[3:]) > shares[0]
