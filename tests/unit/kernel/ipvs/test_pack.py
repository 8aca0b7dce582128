"""Which message each action becomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernelbal.kernel.ipvs import wire
from kernelbal.kernel.ipvs.pack import Packer
from kernelbal.model.address import AF_INET, AF_INET6, Address, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
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
from tests.unit.kernel.fake_netlink import requests_in
from tests.unit.kernel.ipvs import strategies as some

WEB = ServiceKey(AF_INET, 6, parse_address("192.0.2.10"), 80)
PLAIN = ServiceAttributes("wlc", 0, 0, 32, "")
PLACE = DestinationKey(parse_address("10.0.0.11"), 80)
OLD = DestinationAttributes(0, 5, 100, 75)
NEW = DestinationAttributes(0, 9)

KEY = wire.service_key(WEB)
TAIL = wire.service_attributes(AF_INET, PLAIN)
NAMED = wire.DEST_KEY_HEADER + wire.destination_key(PLACE)


def whole(values: DestinationAttributes) -> bytes:
    return (
        wire.service(KEY)
        + wire.DEST_HEADER
        + wire.destination_key(PLACE)
        + wire.destination_attributes(values)
    )


@pytest.mark.parametrize(
    ("action", "command", "body"),
    [
        (AddService(WEB, PLAIN), 1, wire.service(KEY + TAIL)),
        (EditService(WEB, PLAIN._replace(scheduler="rr"), PLAIN), 2, wire.service(KEY + TAIL)),
        (RemoveService(WEB), 3, wire.service(KEY)),
        (AddDestination(WEB, PLACE, NEW), 5, whole(NEW)),
        (EditDestination(WEB, PLACE, OLD, NEW), 6, whole(NEW)),
        (QuiesceDestination(WEB, PLACE, OLD, 60.0), 6, whole(OLD._replace(weight=0))),
        (RemoveDestination(WEB, PLACE), 7, wire.service(KEY) + NAMED),
    ],
)
def test_action_becomes_a_command(action: Action, command: int, body: bytes) -> None:
    (raw,) = Packer(31).pack([action], 17)
    (request,) = requests_in(raw)
    assert (request.family, request.command, request.sequence) == (31, command, 17)
    assert request.body == body


def test_messages_are_numbered_in_the_order_of_the_actions() -> None:
    actions: list[Action] = [AddService(WEB, PLAIN), AddDestination(WEB, PLACE, NEW), RemoveService(WEB)]
    requests = [requests_in(raw)[0] for raw in Packer(31).pack(actions, 5)]
    assert [(request.sequence, request.command) for request in requests] == [(5, 1), (6, 5), (7, 3)]


@given(
    st.lists(
        st.builds(AddDestination, some.service_keys(), some.destination_keys, some.destination_attributes)
    )
)
def test_what_is_packed_once_never_reaches_another_service(actions: list[AddDestination]) -> None:
    repeated: list[Action] = [*actions, *reversed(actions)]
    together = Packer(31).pack(repeated, 1)
    alone = [Packer(31).pack([action], number)[0] for number, action in enumerate(repeated, 1)]
    assert together == alone


def test_services_of_both_families_have_their_own_netmask() -> None:
    mark6 = ServiceKey(AF_INET6, 0, Address(b""), 0, 7)
    values = PLAIN._replace(prefix=24)
    raw = Packer(31).pack([AddService(mark6._replace(family=AF_INET), values), AddService(mark6, values)], 1)
    assert raw[0].endswith(wire.netmask(AF_INET, 24))
    assert raw[1].endswith(wire.netmask(AF_INET6, 24))
