"""The ownership record and the snapshot as compact JSON, one row per object.

Rows instead of objects with names, and addresses in hexadecimal: a site may hold 100,000 real servers, and
both files are written before each change. The layout has a number; a file of another layout is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kernelbal.kernel.record_codec import as_text, decode
from kernelbal.model.address import Address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Destinations,
    ServiceAttributes,
    ServiceKey,
    Timeouts,
    VirtualServer,
)
from kernelbal.model.network import AddressAttributes, AddressKey, LinkState, Sysctl
from kernelbal.model.nft import NftChain, NftRule, NftSet, NftTable
from kernelbal.model.policy_route import NextHop, Rule, TableRouteKey
from kernelbal.model.state import DesiredState, Drain, DrainKey, Ownership, ServicePolicy

SCHEMA: Final = 1

T = TypeVar("T")
Row = list[Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What to come back to when an apply is not confirmed.

    Attributes:
        state: what was ours before the apply.
        deadline_at: until when to confirm, in seconds on the boot clock.
        boot_id: of the boot whose clock that is.
        adopted: services of others among them, which are theirs again after a roll-back.
    """

    state: DesiredState
    deadline_at: float
    boot_id: str
    adopted: frozenset[ServiceKey] = frozenset()


def encode_ownership(ownership: Ownership) -> str:
    """Return the record as text; equal records give equal text."""
    return _dump(
        {
            "schema": SCHEMA,
            "boot_id": ownership.boot_id,
            "services": [_service_row(key) for key in sorted(ownership.services)],
            "addresses": [_address_row(key) for key in sorted(ownership.addresses)],
            "links": sorted(ownership.links),
            "sysctls": dict(sorted(ownership.sysctls.items())),
            "timeouts": ownership.timeouts,
            "drains": [
                [_service_row(key.service), _destination_row(key.destination), *drain]
                for key, drain in sorted(ownership.drains.items())
            ],
            "drain_s": [[_service_row(key), drain_s] for key, drain_s in sorted(ownership.drain_s.items())],
        }
    )


def decode_ownership(text: str) -> Ownership:
    """Return the record.

    Raises:
        Malformed: the text is damaged or of another layout.
    """
    return decode(text, SCHEMA, _ownership)


def _ownership(document: dict[str, Any]) -> Ownership:
    return Ownership(
        boot_id=as_text(document["boot_id"]),
        services=frozenset(map(_service, _rows(document["services"]))),
        addresses=frozenset(map(_address, _rows(document["addresses"]))),
        links=frozenset(map(as_text, _rows(document["links"]))),
        sysctls={as_text(path): as_text(value) for path, value in document["sysctls"].items()},
        timeouts=_timeouts(document["timeouts"]),
        drains={
            DrainKey(_service(service), _destination(destination)): Drain(float(since_at), float(deadline_at))
            for service, destination, since_at, deadline_at in _rows(document["drains"])
        },
        drain_s={_service(key): float(drain_s) for key, drain_s in _rows(document.get("drain_s", []))},
    )


def encode_snapshot(snapshot: Snapshot) -> str:
    """Return the snapshot as text."""
    state = snapshot.state
    return _dump(
        {
            "schema": SCHEMA,
            "boot_id": snapshot.boot_id,
            "deadline_at": snapshot.deadline_at,
            "adopted": [_service_row(key) for key in sorted(snapshot.adopted)],
            "services": [
                [
                    _service_row(key),
                    server.attributes,
                    [[*_destination_row(name), *values] for name, values in server.destinations.items()],
                ]
                for key, server in state.services.items()
            ],
            "policies": [[_service_row(key), *policy[:2]] for key, policy in state.policies.items()],
            "addresses": [[_address_row(key), values] for key, values in state.addresses.items()],
            "links": [link[:3] for link in state.links],
            "sysctls": state.sysctls,
            "nft": [state.nft.sets, state.nft.chains],
            "timeouts": state.timeouts,
            "rules": [_rule_row(rule) for rule in sorted(state.rules)],
            "table_routes": [_route_row(*route) for route in sorted(state.table_routes.items())],
        }
    )


def decode_snapshot(text: str) -> Snapshot:
    """Return the snapshot.

    Raises:
        Malformed: the text is damaged or of another layout.
    """
    return decode(text, SCHEMA, _snapshot)


def _snapshot(document: dict[str, Any]) -> Snapshot:
    state = DesiredState(
        services=dict(map(_virtual_server, _rows(document["services"]))),
        policies={
            _service(key): ServicePolicy(as_text(name), float(drain_s))
            for key, name, drain_s in _rows(document["policies"])
        },
        addresses={
            _address(key): AddressAttributes(*_bools(values)) for key, values in _rows(document["addresses"])
        },
        links=tuple(
            LinkState(as_text(name), as_text(kind), _number(mtu))
            for name, kind, mtu in _rows(document["links"])
        ),
        sysctls=tuple(
            Sysctl(as_text(path), as_text(value), as_text(reason), _bool(optional), *_conditions(conditions))
            for path, value, reason, optional, *conditions in _rows(document["sysctls"])
        ),
        nft=_nft(document["nft"]),
        timeouts=_timeouts(document["timeouts"]),
        rules=frozenset(map(_rule, _rows(document["rules"]))),
        table_routes=dict(map(_route, _rows(document["table_routes"]))),
    )
    adopted = frozenset(map(_service, _rows(document["adopted"])))
    return Snapshot(state, float(document["deadline_at"]), as_text(document["boot_id"]), adopted)


def _conditions(row: Row) -> tuple[str, str, tuple[str, ...], str]:
    """Return `replaces`, `beside`, `also` and `routed_by`; a snapshot of an earlier version lacks some."""
    missing: Row = ["", "", [], ""]
    replaces, beside, also, routed_by = row + missing[len(row) :]
    return as_text(replaces), as_text(beside), tuple(map(as_text, _rows(also))), as_text(routed_by)


def _virtual_server(row: Row) -> tuple[ServiceKey, VirtualServer]:
    key, (scheduler, flags, timeout_s, prefix, engine), rows = row
    attributes = ServiceAttributes(
        as_text(scheduler), _number(flags), _number(timeout_s), _number(prefix), as_text(engine)
    )
    destinations: Destinations = {}
    for address, *numbers in rows:
        port, *values = _numbers(numbers)
        destinations[DestinationKey(_packed(address), port)] = DestinationAttributes(*values)
    return _service(key), VirtualServer(attributes, destinations)


def _nft(row: Row) -> NftTable:
    sets, chains = row
    return NftTable(
        tuple(
            NftSet(
                as_text(name),
                tuple(map(as_text, key_types)),
                as_text(value_type),
                _bool(interval),
                tuple(tuple(map(as_text, element)) for element in elements),
            )
            for name, key_types, value_type, interval, elements in sets
        ),
        tuple(
            NftChain(
                as_text(name),
                as_text(kind),
                as_text(hook),
                _number(priority),
                tuple(NftRule(as_text(expression), as_text(text)) for expression, text in rules),
            )
            for name, kind, hook, priority, rules in chains
        ),
    )


def _service_row(key: ServiceKey) -> Row:
    return [key.family, key.protocol, key.address.hex(), key.port, key.mark]


def _service(row: Row) -> ServiceKey:
    family, protocol, address, port, mark = row
    if not type(family) is type(protocol) is type(port) is type(mark) is int:
        raise TypeError(f"{row!r} is not a service")
    return ServiceKey(family, protocol, Address(bytes.fromhex(address)), port, mark)


def _destination_row(key: DestinationKey) -> Row:
    return [key.address.hex(), key.port]


def _destination(row: Row) -> DestinationKey:
    address, port = row
    return DestinationKey(_packed(address), _number(port))


def _address_row(key: AddressKey) -> Row:
    return [key.device, key.address.hex(), key.prefix]


def _address(row: Row) -> AddressKey:
    device, address, prefix = row
    return AddressKey(as_text(device), _packed(address), _number(prefix))


def _rule_row(rule: Rule) -> Row:
    return [value.hex() if isinstance(value, bytes) else value for value in rule]


def _rule(row: Row) -> Rule:
    family, priority, table, source, source_bits, destination, destination_bits = row
    return Rule(
        _number(family),
        _number(priority),
        _number(table),
        _packed(source),
        _number(source_bits),
        _packed(destination),
        _number(destination_bits),
    )


def _route_row(key: TableRouteKey, hop: NextHop) -> Row:
    gateway = hop.gateway.hex() if hop.gateway is not None else None
    return [key.table, key.destination.hex(), key.prefix, gateway, hop.device]


def _route(row: Row) -> tuple[TableRouteKey, NextHop]:
    table, destination, prefix, gateway, device = row
    key = TableRouteKey(_number(table), _packed(destination), _number(prefix))
    return key, NextHop(None if gateway is None else _packed(gateway), as_text(device))


def _packed(text: str) -> Address:
    address = bytes.fromhex(text)
    if len(address) not in (4, 16):
        raise ValueError(f"`{text}` is not an address")
    return Address(address)


def _timeouts(row: Row | None) -> Timeouts | None:
    return None if row is None else Timeouts(*_numbers(row))


def _rows(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _numbers(values: Iterable[Any]) -> list[int]:
    return _all_of(int, values)


def _bools(values: Iterable[Any]) -> list[bool]:
    return _all_of(bool, values)


def _number(value: object) -> int:
    return _numbers([value])[0]


def _bool(value: object) -> bool:
    return _bools([value])[0]


def _all_of(kind: type[T], values: Iterable[Any]) -> list[T]:
    """A bool is no int here, although Python says so."""
    found = list(values)
    if found and {*map(type, found)} != {kind}:
        raise TypeError(f"{found!r} is not all of type {kind.__name__}")
    return found


def _dump(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":")) + "\n"
