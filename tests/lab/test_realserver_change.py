"""From one method to another on a real kernel: at every moment a new connection is answered."""

import itertools

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.lab.traffic import http_counts
from kernelbal.realserver.host import LinuxHost
from kernelbal.realserver.plan import claim, make_plan
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.setup import Record
from kernelbal.realserver.steps import Step
from kernelbal.realserver.wanted import setup_for
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


def steps_between(host: Host, before: Preparation, after: Preparation) -> tuple[Step, ...]:
    """What `apply` would do on a host that an earlier one has prepared."""
    with host.inside(), LinuxHost() as linux:
        found = linux.observe()
        paths = {
            path
            for one in (before, after)
            for each in setup_for((one,), found).sysctls
            for path in each.needed
        }
        found = linux.observe_more(found, paths, tables=True)
    first = claim(Record(), (before,), make_plan(setup_for((before,), found), {}, found, Record()), found, "")
    prepare(host, before)
    with host.inside(), LinuxHost() as linux:
        found = linux.observe_more(linux.observe(), paths, tables=True)
    return make_plan(setup_for((after,), found), {}, found, first)


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
            assert [outcome.ok for outcome in linux.perform([step])] == [True]
        assert http_counts(made.client, virtual, count=1, timeout_s=2) == {"rs1": 1}, f"after {step}"
