"""Whom an operator's order is about, and the orders that follow from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final, NamedTuple

from kernelbal.errors import OrderRefused
from kernelbal.health.orders import concerns
from kernelbal.model.address import Address, format_address, with_port
from kernelbal.model.overlay import Admin, OperatorKey, Order
from kernelbal.model.site import Site
from kernelbal.model.site.services import RealServer, ServerKey, VirtualService
from kernelbal.model.status import OrderRequest

SOONEST_S: Final = 0.001
"""How much later than all before it an order is at least, in seconds."""
SHOWN: Final = 8
"""How many names a refusal lists."""

_WITH_PORT: Final = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<v4>[0-9.]+)):(?P<port>[0-9]{1,5})")


class Meant(NamedTuple):
    """A real server in a virtual service that a request means."""

    service: VirtualService
    server: RealServer

    @property
    def key(self) -> ServerKey:
        """Its key."""
        return self.service.server_key(self.server)


def find_meant(site: Site, request: OrderRequest) -> tuple[Meant, ...]:
    """Return the real servers that a request means, in the order of the site file.

    Raises:
        OrderRefused: there are none; the message says which there are.
    """
    services = [s for s in site.virtual_services if request.service in (None, s.name)]
    if not services:
        names = _some(service.name for service in site.virtual_services)
        raise OrderRefused(f"there is no virtual service `{request.service}`", f"there are: {names}")
    where = _place(request.server)
    found = tuple(
        Meant(service, server)
        for service in services
        for server in service.real_servers
        if _is_meant(service, server, request.server, where)
    )
    if not found:
        names = _some(_label(server) for service in services for server in service.real_servers)
        inside = f" in virtual service `{request.service}`" if request.service else ""
        raise OrderRefused(f"there is no real server `{request.server}`{inside}", f"there are: {names}")
    return found


def changed_orders(
    orders: Mapping[OperatorKey, Order],
    admin: Admin | None,
    meant: tuple[Meant, ...],
    request: OrderRequest,
    by: str,
    wall: float,
) -> dict[OperatorKey, Order]:
    """Return the orders after a request.

    Args:
        orders: those in force.
        admin: what is ordered; None takes earlier orders back.
        meant: the real servers that the request means.
        request: as it came.
        by: who orders it.
        wall: seconds since 1970.

    Raises:
        OrderRefused: a real server of one virtual service is meant, and the order holds in all of them.
    """
    if admin is None:
        return _without(orders, meant, request)
    return _with(orders, meant, request, _new_order(admin, meant, request, by, wall))


def _with(
    orders: Mapping[OperatorKey, Order], meant: tuple[Meant, ...], request: OrderRequest, order: Order
) -> dict[OperatorKey, Order]:
    """Return the orders with a new one for each real server that is meant.

    Of several orders the latest counts: this one, even if somebody set the clock back since the last one.
    """
    changed = dict(orders)
    for key in _keys(meant, request):
        others = (old.since for known, old in orders.items() if known.address == key.address)
        newest = max(others, default=0.0)
        if not key.service:
            _forget(changed, key)
        changed[key] = order._replace(since=max(order.since, newest + SOONEST_S))
    return changed


def _without(
    orders: Mapping[OperatorKey, Order], meant: tuple[Meant, ...], request: OrderRequest
) -> dict[OperatorKey, Order]:
    """Return the orders without those for the real servers that are meant.

    Raises:
        OrderRefused: a real server of one virtual service is meant, and the order holds in all of them.
    """
    changed = dict(orders)
    for each in meant:
        for key in list(changed):
            if not concerns(key, each.key):
                continue
            if request.service and not key.service:
                word = changed[key].admin.value
                raise OrderRefused(
                    f"{_label(each.server)} was ordered to {word} in all virtual services",
                    "enable it in all of them: leave `--service` out",
                )
            del changed[key]
    return changed


def _new_order(admin: Admin, meant: tuple[Meant, ...], request: OrderRequest, by: str, wall: float) -> Order:
    """Return the order for a request; without a timeout the longest `drain` of the services decides."""
    timeout_s = request.timeout_s
    if timeout_s is None:
        timeout_s = max(each.service.drain for each in meant)
    deadline = wall + timeout_s if admin is Admin.DRAIN else wall
    return Order(admin, wall, deadline, request.hold and admin is Admin.DRAIN, by, request.reason)


def _keys(meant: tuple[Meant, ...], request: OrderRequest) -> list[OperatorKey]:
    where = _place(request.server)
    exact = where is not None and where[1] != 0
    keys = []
    for each in meant:
        siblings = sum(1 for server in each.service.real_servers if server.address == each.server.address)
        port = (each.server.port or 0) if exact or siblings > 1 else 0
        keys.append(OperatorKey(Address(each.server.address), request.service or "", port))
    return list(dict.fromkeys(keys))


def _forget(orders: dict[OperatorKey, Order], key: OperatorKey) -> None:
    """An order for all virtual services replaces those for single ones."""
    for old in list(orders):
        if old.address == key.address and key.port in (0, old.port):
            del orders[old]


def _is_meant(
    service: VirtualService, server: RealServer, text: str, where: tuple[bytes, int] | None
) -> bool:
    if server.name == text:
        return True
    if where is None or server.address != where[0]:
        return False
    port = where[1]
    if server.port is not None:
        return port in (0, server.port)
    return port == 0 or any(ports.low <= port <= ports.high for ports in service.ports)


def _place(text: str) -> tuple[bytes, int] | None:
    """Return the address and the port (0: any) that a text is, or None when it is a name."""
    found = _WITH_PORT.fullmatch(text)
    address, port = (found["v6"] or found["v4"], int(found["port"])) if found else (text, 0)
    try:
        return ip_address(address).packed, port
    except ValueError:
        return None


def _label(server: RealServer) -> str:
    shown = with_port(format_address(Address(server.address)), server.port or 0)
    return f"{server.name} ({shown})" if server.name else shown


def _some(names: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(names))
    more = len(distinct) - SHOWN
    return (", ".join(distinct[:SHOWN]) or "none") + (f" and {more} more" if more > 0 else "")
