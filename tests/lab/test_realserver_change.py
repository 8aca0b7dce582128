"""From one method to another on a real kernel: at every moment a new connection is answered."""

import itertools

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.lab.traffic import http_counts
from kernelbal.plan.action import Action, Result
from kernelbal.plan.kind import Ownership
from kernelbal.realserver.host import LinuxHost
from kernelbal.realserver.preparation import Method, Preparation
from tests.lab.realserver_plan import plan
from tests.lab.test_realserver_verify import REAL, Case
from tests.support.lab_realserver_verify import prepare

pytestmark = pytest.mark.needs_ipvs

CHANGES = [
    (Case(family, before), Case(family, after))
    for family in (4, 6)
    for before, after in itertools.permutations(Method, 2)
    if family == 4 or Method.REDIRECT in (before, after)
]
"""With IPv6, `loopback` and `arp` are one."""


def steps_between(host: Host, before: Preparation, after: Preparation) -> tuple[Action, ...]:
    """What `apply` would do on a host that an earlier one has prepared."""
    with host.inside(), LinuxHost() as linux:
        _, owned = plan(linux, (before,), Ownership())
        prepare(host, before)
        return plan(linux, (after,), owned)[0]


@pytest.mark.parametrize(
    ("before", "after"), CHANGES, ids=[f"{old.name}-to-{new.method.value}" for old, new in CHANGES]
)
def test_every_step_leaves_the_service_reachable(lab: LabFactory, before: Case, after: Case) -> None:
    made = lab("one-arm")
    server = made["rs1"]
    lab.serve([server])
    virtual = before.address
    # As the director does: straight to the real server's MAC address.
    made.client.run(["ip", "route", "add", virtual, "via", REAL[before.virtual]])
    steps = steps_between(server, before.preparation, after.preparation)
    assert steps
    for step in steps:
        with server.inside(), LinuxHost() as linux:
            assert [outcome.result for outcome in linux.perform([step])] != [Result.FAILED]
        assert http_counts(made.client, virtual, count=1, timeout_s=2) == {"rs1": 1}, f"after {step}"
