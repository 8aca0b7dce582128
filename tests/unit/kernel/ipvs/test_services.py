"""The drivers of IPVS services and timeouts: a kernel without IPVS can be looked at all the same."""

import errno
from types import SimpleNamespace

import pytest

from kernelbal.errors import NotSupported
from kernelbal.kernel.ipvs.services import SERVICES_DRIVER, TIMEOUTS_DRIVER
from kernelbal.kernel.netlink import Refusal
from kernelbal.model.ipvs import ServiceTable, Timeouts
from kernelbal.plan.action import Result
from kernelbal.plan.kind import ObservedState
from kernelbal.plan.kinds.services import IPVS, SERVICES, IpvsInfo
from kernelbal.plan.kinds.timeouts import TIMEOUTS, SetTimeouts
from tests.support.builders import service, virtual

WEB, MAIL = service("192.0.2.10", 80), service("192.0.2.10", 25)
TABLE: ServiceTable = {WEB: virtual(), MAIL: virtual()}
NOTHING = ObservedState()


class WithoutIpvs:
    """Sockets of a kernel without IPVS."""

    @property
    def ipvs(self) -> None:
        raise NotSupported("open IPVS", "", errno.ENOENT, "the kernel has no IPVS", "modprobe ip_vs")


def sockets(answer: Refusal | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        ipvs=SimpleNamespace(
            read=lambda: (TABLE, {}),
            read_services=lambda keys: {key: TABLE[key] for key in keys},
            read_info=lambda: SimpleNamespace(connection_buckets=4096),
            read_timeouts=lambda: Timeouts(1, 2, 3),
            order=lambda _, body: answer,
        )
    )


@pytest.mark.parametrize(("scope", "read"), [(None, TABLE), ((WEB,), {WEB: virtual()}), ((), {})])
def test_services_are_read_all_or_by_name(scope: object, read: ServiceTable) -> None:
    found = SERVICES_DRIVER.observe(sockets(), scope, NOTHING)
    assert (found.of(SERVICES), found.of(IPVS)) == (read, IpvsInfo(True, 4096))


def test_kernel_without_ipvs_is_observed_all_the_same() -> None:
    found = TIMEOUTS_DRIVER.observe(
        WithoutIpvs(), None, SERVICES_DRIVER.observe(WithoutIpvs(), None, NOTHING)
    )
    assert (found.of(SERVICES), found.of(TIMEOUTS), found.of(IPVS).available) == ({}, None, False)


def test_timeouts_are_read_and_set() -> None:
    assert TIMEOUTS_DRIVER.observe(sockets(), None, NOTHING).of(TIMEOUTS) == Timeouts(1, 2, 3)
    action = SetTimeouts(None, Timeouts())
    assert [each.result for each in TIMEOUTS_DRIVER.perform(sockets(), [action])] == [Result.DONE]
    (refused,) = TIMEOUTS_DRIVER.perform(sockets(Refusal(errno.EINVAL)), [action])
    assert (refused.result, refused.hint) == (Result.FAILED, "use 1 s to 24 days")
