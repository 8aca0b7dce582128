"""Actions whose answer was lost."""

import pytest

from kernelbal.kernel.ipvs.settle import is_done
from kernelbal.model.address import AF_INET, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
    ServiceTable,
    VirtualServer,
)
from kernelbal.plan.action import Action
from kernelbal.plan.kinds.service_actions import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
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
    ],
)
def test_action_is_done_when_the_kernel_is_as_it_would_leave_it(action: Action, done: bool) -> None:
    assert is_done(action, HELD) is done
