"""Virtual services and real servers as the status shows them."""

from dataclasses import replace

import pytest

from kernelbal.health.decide import decide
from kernelbal.health.probes import plan_probes
from kernelbal.model.address import Address, parse_address
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.ipvs import DestinationCounters, DestinationKey, ServiceKey
from kernelbal.model.overlay import Admin, Mode, OperatorKey, Order, ServerState
from kernelbal.model.site.services import ServerKey
from kernelbal.model.status import ServiceStatus
from kernelbal.runtime.director.status_view import (
    Counted,
    StatusInputs,
    connections_in,
    describe_probe,
    drained,
    iso,
    places_of,
    service_view,
)
from tests.support.builders import real, service, site, virtual, weighing
from tests.unit.health.scene import inputs_of

SITE = site("""
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80, 443]
    forwarding: nat
    check: {http: {path: /health}, interval: 5s}
    real_servers: [{address: 10.0.0.11, name: alpha}, {address: 10.0.0.12, port: 8080, weight: 50}]
""")
HTTP, HTTPS = service("192.0.2.10", 80), service("192.0.2.10", 443)
A, B = real("10.0.0.11"), real("10.0.0.12", 8080)
KEY_A = ServerKey("web", parse_address("10.0.0.11"))
PROBES = plan_probes(SITE)
WALL = 1_700_000_000.0
ORDER = Order(Admin.DRAIN, WALL - 5, WALL + 40, hold=False, by="root", reason="update")


def known(orders: dict[OperatorKey, Order] | None = None, **changes: object) -> StatusInputs:
    states = {key: ProbeState(Health.UP, 90.0, "", 98.5, 0.0125) for key in PROBES.probes}
    inputs = inputs_of(SITE, 95.0, WALL - 5, states=states, orders=orders or {})
    found = StatusInputs(
        now=100.0,
        wall=WALL,
        site=SITE,
        probes=PROBES,
        states=states,
        decision=decide(inputs),
        keys={"web": (HTTP, HTTPS)},
        table={HTTP: virtual((A, weighing(100)), (B, weighing(50)))},
        counted=None,
        before=None,
    )
    return replace(found, **changes)  # type: ignore[arg-type] # fields of StatusInputs


def view_of(here: StatusInputs) -> ServiceStatus:
    return service_view(here, here.site.virtual_services[0])


def counters(at: float, active: int, total: int) -> Counted:
    each = {A: DestinationCounters(active, 1, 0, total, 0, 0, total * 100, total * 1000)}
    return Counted(at, {HTTP: each, HTTPS: {real("10.0.0.11", 443): DestinationCounters(1, 0, 0, total)}})


def test_every_age_is_of_now_and_every_instant_of_the_wall_clock() -> None:
    view = view_of(known())
    assert (view.ports, view.quorum, view.usable, view.mode) == ("80, 443", 1, 2, Mode.SERVING)
    assert view.since == iso(WALL - 5)
    check = view.real_servers[0].checks[0]
    assert (check.last_s, check.since_s, check.response_ms) == (1.5, 10.0, 12.5)
    assert view.real_servers[0].connections_per_s is None


def test_instants_are_iso_8601_in_utc() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"


def test_a_real_server_stands_once_per_port_of_its_service() -> None:
    here = known()
    assert places_of(here, KEY_A) == ((HTTP, A), (HTTPS, real("10.0.0.11", 443)))
    other = ServerKey("web", parse_address("10.0.0.12"), 8080)
    assert places_of(here, other) == ((HTTP, B), (HTTPS, B))


def test_counters_are_summed_and_rates_come_from_two_readings() -> None:
    here = known(counted=counters(100.0, 4, 30), before=counters(98.0, 2, 10))
    server = view_of(here).real_servers[0]
    assert (server.active, server.inactive, server.connections) == (5, 1, 60)
    assert (server.connections_per_s, server.bytes_in_per_s, server.bytes_out_per_s) == (
        20.0,
        1000.0,
        10000.0,
    )
    assert connections_in(here.counted) == 6


def test_a_counter_that_starts_anew_gives_no_negative_rate() -> None:
    here = known(counted=counters(100.0, 0, 3), before=counters(98.0, 0, 90))
    assert view_of(here).real_servers[0].connections_per_s == 0.0


def test_an_order_is_shown_with_who_why_and_how_long() -> None:
    orders = {OperatorKey(KEY_A.address): ORDER}
    admin = view_of(known(orders, counted=counters(99.0, 4, 30))).real_servers[0].admin
    assert admin is not None
    assert (admin.order, admin.by, admin.reason, admin.everywhere) == (Admin.DRAIN, "root", "update", True)
    assert (admin.left_s, admin.done) == (40.0, False)
    later = replace(known(orders, counted=counters(99.0, 4, 30)), now=110.0, wall=WALL + 86_400)
    admin = view_of(later).real_servers[0].admin
    assert admin is not None
    assert admin.left_s == 30.0, "somebody set the clock, and the drain goes on"


@pytest.mark.parametrize(
    ("counted", "table", "done"),
    [
        (None, {HTTP: virtual((A, weighing(0)))}, False),
        (counters(90.0, -1, 30), {HTTP: virtual((A, weighing(0)))}, False),
        (counters(99.0, 4, 30), {HTTP: virtual((A, weighing(0)))}, False),
        (Counted(99.0, {HTTP: {A: DestinationCounters(0, 9, 0)}}), {HTTP: virtual((A, weighing(0)))}, True),
        (None, {HTTP: virtual()}, True),
        (None, {}, True),
        (None, None, False),
    ],
)
def test_a_drain_is_over_without_connections_or_when_it_is_gone(
    counted: Counted | None, table: object, done: bool
) -> None:
    here = known({OperatorKey(KEY_A.address): ORDER}, counted=counted, table=table)
    assert drained(here) == ({KEY_A} if done else frozenset())


def test_a_service_by_mark_waits_for_every_connection_that_the_kernel_knows() -> None:
    """For it, and for udp, the kernel calls connections inactive that go on."""
    marked, any_port = ServiceKey(2, 0, Address(b""), 0, 0x4B000001), DestinationKey(KEY_A.address, 0)
    for inactive, done in ((9, False), (0, True)):
        here = known(
            {OperatorKey(KEY_A.address): ORDER},
            keys={"web": (marked,)},
            counted=Counted(99.0, {marked: {any_port: DestinationCounters(0, inactive, 0)}}),
            table={marked: virtual((any_port, weighing(0)))},
        )
        assert bool(drained(here)) == done


def test_before_the_first_decision_everything_is_unknown() -> None:
    here = known(decision=None)
    server = view_of(here).real_servers[0]
    assert (server.state, server.health) == (ServerState.UNKNOWN, Health.UNKNOWN)
    assert (server.weight, server.configured_weight) == (0, 100)
    assert drained(here) == frozenset()


def test_a_probe_is_described_in_few_words() -> None:
    (probe, *_) = (p for p in PROBES.probes.values() if p.target.port == 80)
    assert describe_probe(probe) == "http 10.0.0.11:80 /health"
    through = replace(probe, target=probe.target._replace(mark=7))
    assert describe_probe(through).endswith("by way of 10.0.0.11")
