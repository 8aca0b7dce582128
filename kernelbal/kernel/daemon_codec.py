"""What the daemon keeps over restarts, as compact JSON: operators' orders, and how real servers stand.

Orders are of the wall clock and outlive a boot. States of probes and the memory of decisions are of the boot
clock, and count for nothing after a reboot. Rows instead of objects with names: there may be 100,000.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from kernelbal.health.decision import Memory, ServerMemory, ServiceMemory
from kernelbal.kernel.record_codec import as_number, as_text, decode
from kernelbal.model.address import Address
from kernelbal.model.health import ProbeState, ProbeStates
from kernelbal.model.site.services import ServerKey
from kernelbal.model.standing import Admin, Mode, OperatorKey, Order, Orders

SCHEMA: Final = 1

T = TypeVar("T")
Row = list[Any]


@dataclass(frozen=True, slots=True)
class Standings:
    """How everything stood when it was written.

    Attributes:
        boot_id: of the boot whose clock the instants are of.
    """

    boot_id: str = ""
    states: ProbeStates = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)


def encode_orders(orders: Orders) -> str:
    """Return orders as text; equal orders give equal text."""
    rows = [
        [key.address.hex(), key.service, key.port, order.admin.value, *order[1:]]
        for key, order in sorted(orders.items())
    ]
    return _dump({"schema": SCHEMA, "orders": rows})


def decode_orders(text: str) -> dict[OperatorKey, Order]:
    """Return orders.

    Raises:
        Malformed: the text is damaged or of another layout.
    """
    return decode(text, SCHEMA, lambda document: dict(map(_order, document["orders"])))


def _order(row: Row) -> tuple[OperatorKey, Order]:
    address, service, port, admin, since, deadline, hold, by, reason = row
    key = OperatorKey(bytes.fromhex(address), as_text(service), as_number(port))
    return key, Order(
        Admin(admin), _float(since), _float(deadline), _flag(hold), as_text(by), as_text(reason)
    )


def encode_standings(standings: Standings) -> str:
    """Return standings as text."""
    memory = standings.memory
    return _dump(
        {
            "schema": SCHEMA,
            "boot_id": standings.boot_id,
            "states": {key: msgspec.to_builtins(state) for key, state in standings.states.items()},
            "servers": [
                [key.service, key.address.hex(), key.port, *values] for key, values in memory.servers.items()
            ],
            "services": [
                [name, values.mode.value, values.since_at, values.quorum, values.began_at]
                for name, values in memory.services.items()
            ],
        }
    )


def decode_standings(text: str) -> Standings:
    """Return standings.

    Raises:
        Malformed: the text is damaged or of another layout.
    """
    return decode(text, SCHEMA, _standings)


def _standings(document: Mapping[str, Any]) -> Standings:
    return Standings(
        as_text(document["boot_id"]),
        {as_text(key): msgspec.convert(row, ProbeState) for key, row in document["states"].items()},
        Memory(
            dict(map(_server, document["servers"])),
            dict(map(_service, document["services"])),
        ),
    )


def _server(row: Row) -> tuple[ServerKey, ServerMemory]:
    service, address, port, *values = row
    key = ServerKey(as_text(service), Address(bytes.fromhex(address)), as_number(port))
    return key, ServerMemory(*(take(value) for take, value in zip(_SERVER, values, strict=True)))


def _service(row: Row) -> tuple[str, ServiceMemory]:
    name, mode, since_at, quorum, began_at = row
    return as_text(name), ServiceMemory(Mode(mode), _float(since_at), _flag(quorum), _optional(began_at))


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _optional(value: object) -> float | None:
    return None if value is None else _float(value)


def _float(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no number")
    return float(value)


_SERVER: Final[tuple[Callable[[object], Any], ...]] = (
    *(as_text, _float, _flag, _optional, _float, _optional, _float, as_number),
    *(_optional, _float, _float, as_text),
)
"""What reads each field of `ServerMemory`, in their order."""
