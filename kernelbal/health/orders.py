"""Which of the operators' orders concerns which real server."""

from __future__ import annotations

from typing import NamedTuple

from kernelbal.model.overlay import OperatorKey, Order, Orders
from kernelbal.model.site.services import ServerKey


class ActiveOrder(NamedTuple):
    """An order that is in force.

    Attributes:
        everywhere: whether it holds in all virtual services.
    """

    order: Order
    everywhere: bool


class OrderIndex:
    """Orders by the address of the real server.

    Of several orders for one real server the latest counts; of equally late ones the most specific.
    """

    def __init__(self, orders: Orders) -> None:
        self._by_address: dict[bytes, list[tuple[OperatorKey, Order]]] = {}
        for item in orders.items():
            self._by_address.setdefault(item[0].address, []).append(item)

    def find(self, key: ServerKey) -> ActiveOrder | None:
        """Return the order in force for a real server, or None."""
        items = self._by_address.get(key.address)
        if items is None:
            return None
        found = [(o.since, bool(k.service), bool(k.port), o) for k, o in items if concerns(k, key)]
        if not found:
            return None
        _, specific, _, order = max(found, key=lambda each: each[:3])
        return ActiveOrder(order, not specific)


def concerns(ordered: OperatorKey, key: ServerKey) -> bool:
    """Return whether an order under a key is about a real server."""
    return (
        ordered.address == key.address
        and ordered.service in ("", key.service)
        and ordered.port in (0, key.port)
    )
