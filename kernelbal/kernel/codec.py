"""States as JSON: short lists of short values, since a site may hold 100,000 real servers.

A service is `[family, protocol, address, port, mark]`, everything else is the fields of its named tuple in
their order; addresses are text.
"""

from __future__ import annotations

from typing import Any

from kernelbal.model.address import Address, format_address, parse_address
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    ServiceAttributes,
    ServiceKey,
    Timeouts,
    VirtualServer,
)
from kernelbal.model.network import AddressAttributes, AddressKey, LinkState, Sysctl
from kernelbal.model.nft import NftChain, NftRule, NftSet, NftTable
from kernelbal.model.state import DesiredState, Drain, DrainKey, Ownership, ServicePolicy

Json = dict[str, Any]


def encode_ownership(ownership: Ownership) -> Json:
    """Return the record as plain data."""
    return {
        "boot_id": ownership.boot_id,
        "services": sorted(map(_service, ownership.services)),
        "addresses": sorted(map(_address, ownership.addresses)),
        "links": sorted(ownership.links),
        "sysctls": ownership.sysctls,
        "timeouts": ownership.timeouts,
        "drains": [
            [_service(key.service), _destination(key.destination), *drain]
            for key, drain in ownership.drains.items()
        ],
    }


def decode_ownership(document: Json) -> Ownership:
    """Return the record that `encode_ownership` wrote.

    Raises:
        ValueError, KeyError, TypeError, IndexError: it is damaged.
    """
    return Ownership(
        boot_id=document["boot_id"],
        services=frozenset(map(_to_service, document["services"])),
        addresses=frozenset(map(_to_address, document["addresses"])),
        links=frozenset(document["links"]),
        sysctls=dict(document["sysctls"]),
        timeouts=_to_timeouts(document["timeouts"]),
        drains={
            DrainKey(_to_service(service), _to_destination(destination)): Drain(since_at, deadline_at)
            for service, destination, since_at, deadline_at in document["drains"]
        },
    )


def encode_state(state: DesiredState) -> Json:
    """Return a desired state as plain data."""
    return {
        "services": [
            [
                _service(key),
                server.attributes,
                [[_destination(k), v] for k, v in server.destinations.items()],
                state.policies.get(key),
            ]
            for key, server in state.services.items()
        ],
        "addresses": [[_address(key), attributes] for key, attributes in state.addresses.items()],
        "links": state.links,
        "sysctls": state.sysctls,
        "nft": state.nft,
        "timeouts": state.timeouts,
    }


def decode_state(document: Json) -> DesiredState:
    """Return the state that `encode_state` wrote.

    Raises:
        ValueError, KeyError, TypeError, IndexError: it is damaged.
    """
    state = DesiredState(
        addresses={_to_address(key): AddressAttributes(*value) for key, value in document["addresses"]},
        links=tuple(LinkState(*link) for link in document["links"]),
        sysctls=tuple(Sysctl(*sysctl) for sysctl in document["sysctls"]),
        nft=_to_table(document["nft"]),
        timeouts=_to_timeouts(document["timeouts"]),
    )
    for service, attributes, destinations, policy in document["services"]:
        key = _to_service(service)
        state.services[key] = VirtualServer(
            ServiceAttributes(*attributes),
            {_to_destination(k): DestinationAttributes(*v) for k, v in destinations},
        )
        if policy is not None:
            state.policies[key] = ServicePolicy(*policy)
    return state


def _service(key: ServiceKey) -> list[Any]:
    address = format_address(key.address) if key.address else ""
    return [key.family, key.protocol, address, key.port, key.mark]


def _to_service(values: list[Any]) -> ServiceKey:
    family, protocol, address, port, mark = values
    return ServiceKey(family, protocol, parse_address(address) if address else Address(b""), port, mark)


def _destination(key: DestinationKey) -> list[Any]:
    return [format_address(key.address), key.port]


def _to_destination(values: list[Any]) -> DestinationKey:
    address, port = values
    return DestinationKey(parse_address(address), port)


def _address(key: AddressKey) -> list[Any]:
    return [key.device, format_address(key.address), key.prefix]


def _to_address(values: list[Any]) -> AddressKey:
    device, address, prefix = values
    return AddressKey(device, parse_address(address), prefix)


def _to_timeouts(values: list[int] | None) -> Timeouts | None:
    return None if values is None else Timeouts(*values)


def _to_table(values: list[Any]) -> NftTable:
    sets, chains = values
    return NftTable(
        tuple(
            NftSet(name, tuple(key_types), value_type, interval, tuple(map(tuple, elements)))
            for name, key_types, value_type, interval, elements in sets
        ),
        tuple(
            NftChain(name, kind, hook, priority, tuple(NftRule(*rule) for rule in rules))
            for name, kind, hook, priority, rules in chains
        ),
    )
