"""Whom an operator's order is about."""

import pytest
from msgspec import convert

from kernelbal.errors import OrderRefused
from kernelbal.health.orders import OrderIndex
from kernelbal.model.address import parse_address
from kernelbal.model.overlay import Admin, OperatorKey, Order
from kernelbal.model.site.services import ServerKey
from kernelbal.model.status import OrderRequest
from kernelbal.runtime.director.orders import changed_orders, find_meant
from tests.support.builders import site

SITE = site("""
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: [80, 443]
    forwarding: nat
    drain: 20s
    real_servers: [{address: 10.0.0.11, name: alpha}, {address: 10.0.0.12}]
  - name: app
    address: 192.0.2.11
    ports: [80]
    forwarding: nat
    drain: 90s
    real_servers:
      - {address: 10.0.0.11, port: 8001, name: alpha}
      - {address: 10.0.0.11, port: 8002}
      - {address: "2001:db8::1", port: 8001}
""")
A = parse_address("10.0.0.11")


def request(server: str, service: str | None = None, **more: object) -> OrderRequest:
    return convert({"server": server, "service": service, **more}, OrderRequest)


def meant(server: str, service: str | None = None) -> list[tuple[str, int]]:
    return [(m.key.service, m.key.port) for m in find_meant(SITE, request(server, service))]


@pytest.mark.parametrize(
    ("server", "service", "expected"),
    [
        ("10.0.0.11", None, [("web", 0), ("app", 8001), ("app", 8002)]),
        ("10.0.0.11", "web", [("web", 0)]),
        ("alpha", None, [("web", 0), ("app", 8001)]),
        ("10.0.0.11:8002", None, [("app", 8002)]),
        ("10.0.0.11:443", None, [("web", 0)]),
        ("[2001:db8::1]:8001", None, [("app", 8001)]),
        ("2001:0db8::0001", None, [("app", 8001)]),
    ],
)
def test_name_address_and_port_are_understood(
    server: str, service: str | None, expected: list[tuple[str, int]]
) -> None:
    assert meant(server, service) == expected


@pytest.mark.parametrize(
    ("server", "service", "says", "hints"),
    [
        ("10.0.0.99", None, "no real server `10.0.0.99`", "alpha (10.0.0.11)"),
        ("10.0.0.12", "app", "in virtual service `app`", "10.0.0.11:8002"),
        ("10.0.0.11", "ap", "no virtual service `ap`", "web, app"),
        ("10.0.0.11:99999", None, "no real server", "there are"),
    ],
)
def test_a_refusal_says_which_there_are(server: str, service: str | None, says: str, hints: str) -> None:
    with pytest.raises(OrderRefused) as refusal:
        find_meant(SITE, request(server, service))
    assert says in refusal.value.message
    assert hints in (refusal.value.hint or "")


def drained(server: str, service: str | None = None, **more: object) -> dict[OperatorKey, Order]:
    asked = request(server, service, **more)
    found = find_meant(SITE, asked)
    return changed_orders({}, Admin.DRAIN, found, asked, "root", 1000.0)


def test_the_longest_drain_of_the_services_is_the_time_unless_one_is_named() -> None:
    (order,) = drained("10.0.0.12").values()
    assert order == Order(Admin.DRAIN, 1000.0, 1020.0, hold=False, by="root", reason="")
    assert {o.deadline for o in drained("10.0.0.11").values()} == {1090.0}
    assert {o.deadline for o in drained("10.0.0.11", timeout_s=5).values()} == {1005.0}


def test_an_order_holds_in_all_services_or_in_one() -> None:
    assert drained("10.0.0.12").keys() == {OperatorKey(parse_address("10.0.0.12"))}
    assert drained("10.0.0.11", "web").keys() == {OperatorKey(A, "web")}
    assert drained("10.0.0.11:8002", "app").keys() == {OperatorKey(A, "app", 8002)}


def test_enabling_ends_what_was_ordered() -> None:
    orders = drained("10.0.0.11", "web")
    for how in (request("10.0.0.11"), request("alpha", "web")):
        assert changed_orders(orders, None, find_meant(SITE, how), how, "root", 0.0) == {}
    other = request("10.0.0.12")
    assert changed_orders(orders, None, find_meant(SITE, other), other, "root", 0.0) == orders


def test_what_holds_everywhere_cannot_be_ended_in_one_service() -> None:
    orders = drained("10.0.0.12")
    asked = request("10.0.0.12", "web")
    with pytest.raises(OrderRefused, match="in all virtual services"):
        changed_orders(orders, None, find_meant(SITE, asked), asked, "root", 0.0)


def test_an_order_for_all_services_replaces_those_for_one() -> None:
    before = drained("10.0.0.12", "web")
    asked = request("10.0.0.12")
    found = find_meant(SITE, asked)
    ((key, order),) = changed_orders(before, Admin.DISABLE, found, asked, "root", 2000.0).items()
    assert (key, order.deadline) == (OperatorKey(parse_address("10.0.0.12")), 2000.0)


def test_the_last_order_counts_also_when_the_clock_was_set_back() -> None:
    orders: dict[OperatorKey, Order] = {}
    for wall, admin, where in ((9000.0, Admin.DRAIN, None), (5000.0, Admin.DISABLE, "web")):
        asked = request("10.0.0.11", where)
        found = find_meant(SITE, asked)
        orders = changed_orders(orders, admin, found, asked, "root", wall)
    in_force = OrderIndex(orders).find(ServerKey("web", A, 0))
    assert in_force is not None
    assert (in_force.order.admin, in_force.everywhere) == (Admin.DISABLE, False)
