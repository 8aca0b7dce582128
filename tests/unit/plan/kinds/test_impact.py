"""What an action does to traffic, in words."""

import pytest

from kernelbal.model.address import Address
from kernelbal.model.ipvs import CounterTable, Forwarding, ServiceAttributes, ServiceFlag, Timeouts
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.plan.action import Action
from kernelbal.plan.classifier import build_table
from kernelbal.plan.edge import merged
from kernelbal.plan.kinds import impact
from kernelbal.plan.kinds.addresses import RemoveAddress
from kernelbal.plan.kinds.service_actions import (
    AddService,
    EditDestination,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
)
from kernelbal.plan.kinds.tables import TABLES, ReplaceTable
from kernelbal.plan.kinds.timeouts import SetTimeouts
from tests.support.builders import connected, desired, place, real, service, weighing
from tests.support.states import observed_of

WEB, DNS = service("192.0.2.10", 80), service("192.0.2.10", 53, "udp")
A, B = real("10.0.0.11"), real("10.0.0.12")
COUNTERS: CounterTable = {WEB: {A: connected(312, 9), B: connected(1)}, DNS: {A: connected(0, 4)}}
PLAIN = ServiceAttributes("wlc", 0, 0, 32, "")
STICKY = PLAIN._replace(flags=int(ServiceFlag.PERSISTENT), timeout_s=300)
ONE_ARMED = build_table({(Address(b"\xc0\x00\x02\x0a"), 6, 80, 80): 7}, frozenset({7}))
LIMITED = weighing(5, upper_threshold=9)


EDGE = desired("edge: {source_nat: [{name: a, inside: 10.0.0.0/24, masquerade: true}]}").of(TABLES)[
    EMPTY_TABLE.title
]


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (RemoveDestination(WEB, A), "312 active connections would be cut"),
        (RemoveDestination(WEB, B), "1 active connection would be cut"),
        (RemoveDestination(WEB, real("10.0.0.99")), ""),
        (RemoveDestination(DNS, A), "4 active connections would be cut"),
        (RemoveService(WEB), "313 active connections would be cut"),
        (RemoveService(service("192.0.2.99", 80)), ""),
        (QuiesceDestination(WEB, A, weighing(5), 60), "no new connections; 312 connections have 60 s to end"),
        (QuiesceDestination(DNS, A, weighing(5), 60), "no new connections; 4 connections have 60 s to end"),
        (QuiesceDestination(WEB, B, weighing(5), 5), "no new connections; 1 connection has 5 s to end"),
        (QuiesceDestination(WEB, real("10.0.0.99"), weighing(5), 60), "no new connections; it has none"),
        (RemoveAddress(place("eth0", "192.0.2.10")), "clients can no longer reach this address"),
        (ReplaceTable(ONE_ARMED, EMPTY_TABLE), "one-armed connections that are still open would be cut"),
        (ReplaceTable(EDGE, EMPTY_TABLE), "translated connections that are still open would be cut"),
        (
            ReplaceTable(merged(ONE_ARMED, EDGE), EMPTY_TABLE),
            "one-armed and translated connections that are still open would be cut",
        ),
        (ReplaceTable(EDGE, ONE_ARMED), ""),
        (ReplaceTable(EMPTY_TABLE, ONE_ARMED), ""),
        (ReplaceTable(None, ONE_ARMED), ""),
        (EditService(WEB, STICKY, PLAIN), "clients are no longer kept on their real server"),
        (EditService(WEB, PLAIN, PLAIN._replace(scheduler="sh")), "new connections only"),
        (EditService(WEB, PLAIN, STICKY), ""),
        (EditDestination(WEB, A, weighing(5), weighing(0)), "no new connections; 312 active go on"),
        (
            EditDestination(WEB, A, weighing(5), weighing(5, Forwarding.DSR)),
            "new connections only; established ones keep their forwarding method",
        ),
        (EditDestination(WEB, A, weighing(5), weighing(6)), ""),
        (EditDestination(WEB, A, weighing(5), LIMITED), ""),
        (EditDestination(WEB, A, weighing(0), weighing(0, upper_threshold=9)), ""),
        (SetTimeouts(None, Timeouts()), "new and refreshed connections only"),
        (AddService(WEB, PLAIN), ""),
    ],
)
def test_impact(action: Action, text: str) -> None:
    assert impact(action, observed_of(counters=COUNTERS)) == text
