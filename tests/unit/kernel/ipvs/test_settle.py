"""Outcomes of actions whose answer was a refusal, or was lost."""

import errno

import pytest

from kernelbal.kernel.ipvs import settle
from kernelbal.kernel.netlink import Refusal
from kernelbal.model.address import AF_INET, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
    ServiceTable,
    Timeouts,
    VirtualServer,
)
from kernelbal.plan.actions import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    IpvsAction,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
    Result,
    SetTimeouts,
)

WEB = ServiceKey(AF_INET, 6, parse_address("192.0.2.10"), 80)
GONE = WEB._replace(port=81)
OLD = ServiceAttributes("rr", 0, 0, 32, "")
NOW = ServiceAttributes("mh", 0, 0, 32, "")
PLACE = DestinationKey(parse_address("10.0.0.11"), 80)
ABSENT = PLACE._replace(port=81)
IDLE = PLACE._replace(port=82)
NAT = DestinationAttributes(0, 1)
HELD: ServiceTable = {WEB: VirtualServer(NOW, {PLACE: NAT, IDLE: NAT._replace(weight=0)})}
TIMEOUTS = Timeouts(1, 2, 3)


@pytest.mark.parametrize(
    ("action", "done"),
    [
        (AddService(WEB, NOW), True),
        (AddService(WEB, OLD), False),
        (AddService(GONE, NOW), False),
        (EditService(WEB, OLD, NOW), True),
        (EditService(WEB, NOW, OLD), False),
        (RemoveService(GONE), True),
        (RemoveService(WEB), False),
        (AddDestination(WEB, PLACE, NAT), True),
        (AddDestination(WEB, PLACE, NAT._replace(tunnel_port=5)), True),
        (AddDestination(WEB, PLACE, NAT._replace(weight=2)), False),
        (AddDestination(WEB, ABSENT, NAT), False),
        (AddDestination(GONE, PLACE, NAT), False),
        (EditDestination(WEB, PLACE, NAT._replace(weight=5), NAT), True),
        (EditDestination(WEB, PLACE, NAT, NAT._replace(weight=5)), False),
        (EditDestination(WEB, PLACE, NAT, DestinationAttributes(2, 1)), False),
        (QuiesceDestination(WEB, IDLE, NAT, 60.0), True),
        (QuiesceDestination(WEB, PLACE, NAT, 60.0), False),
        (QuiesceDestination(WEB, ABSENT, NAT, 60.0), False),
        (RemoveDestination(WEB, ABSENT), True),
        (RemoveDestination(GONE, PLACE), True),
        (RemoveDestination(WEB, PLACE), False),
        (SetTimeouts(None, TIMEOUTS), True),
        (SetTimeouts(None, TIMEOUTS._replace(udp_s=9)), False),
    ],
)
def test_action_is_done_when_the_kernel_is_as_it_wanted(action: IpvsAction, done: bool) -> None:
    assert settle.is_done(action, HELD, TIMEOUTS) is done


@pytest.mark.parametrize(
    ("action", "service"),
    [
        (AddService(WEB, NOW), WEB),
        (RemoveService(WEB), WEB),
        (AddDestination(WEB, PLACE, NAT), WEB),
        (RemoveDestination(WEB, PLACE), WEB),
        (SetTimeouts(None, TIMEOUTS), None),
    ],
)
def test_service_that_an_action_touches(action: IpvsAction, service: ServiceKey | None) -> None:
    assert settle.service_of(action) == service


def test_refusal_names_the_scheduler() -> None:
    outcome = settle.refused(AddService(WEB, NOW), Refusal(errno.ENOENT))
    assert (outcome.result, outcome.errno, outcome.hint) == (Result.FAILED, errno.ENOENT, "modprobe ip_vs_mh")


def test_refusal_of_what_is_so_already() -> None:
    outcome = settle.refused(RemoveDestination(WEB, PLACE), Refusal(errno.ENOENT))
    assert (outcome.result, outcome.errno) == (Result.ALREADY, errno.ENOENT)


@pytest.mark.parametrize(
    ("action", "target"),
    [
        (EditService(WEB, OLD, NOW), "192.0.2.10:80/tcp"),
        (RemoveService(WEB), "192.0.2.10:80/tcp"),
        (QuiesceDestination(WEB, PLACE, NAT, 1.0), "192.0.2.10:80/tcp -> 10.0.0.11:80"),
        (SetTimeouts(None, TIMEOUTS), ""),
    ],
)
def test_subject(action: IpvsAction, target: str) -> None:
    assert settle.subject_of(action).target == target
