"""What only the fake can do; `tests/contract` says what it has in common with a real kernel."""

import errno

import pytest

from kernelbal.errors import KernelError
from kernelbal.plan.action import Result
from kernelbal.plan.kinds import DIRECTOR
from kernelbal.plan.kinds.service_actions import AddService, RemoveService
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.planning import scopes
from tests.support.builders import real, service, virtual, weighing
from tests.support.fake_kernel import FakeKernel, connections

WEB, A, B = service("192.0.2.10", 80), real("10.0.0.11"), real("10.0.0.12")
ADD = AddService(WEB, virtual().attributes)


def test_observation_is_a_copy() -> None:
    kernel = FakeKernel(services={WEB: virtual((A, weighing(1)))}, counters={WEB: {A: connections(1)}})
    observed, counters = kernel.observe(scopes(DIRECTOR)), kernel.read_counters([WEB])
    kernel.perform([RemoveService(WEB)])
    assert observed.of(SERVICES) == {WEB: virtual((A, weighing(1)))}
    assert counters == {WEB: {A: connections(1)}}
    assert kernel.read_counters([WEB]) == {}


def test_refused_action_changes_nothing_and_keeps_its_errno() -> None:
    kernel = FakeKernel(refuse=lambda _: errno.EPERM)
    (outcome,) = kernel.perform([ADD])
    assert (outcome.result, outcome.errno, kernel.services) == (Result.FAILED, errno.EPERM, {})
    assert kernel.performed == [ADD]


def test_check_finds_what_is_forbidden() -> None:
    FakeKernel().check([ADD])
    with pytest.raises(KernelError):
        FakeKernel(forbid=lambda _: errno.EINVAL).check([ADD])


def test_load_gives_every_real_server_of_a_service_connections() -> None:
    kernel = FakeKernel(services={WEB: virtual((A, weighing(1)), (B, weighing(1)))}, counters={WEB: {}})
    kernel.load(WEB, 5)
    assert kernel.read_counters([WEB]) == {WEB: {A: connections(5), B: connections(5)}}
