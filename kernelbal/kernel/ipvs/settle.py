"""What became of actions whose answers were lost: by what the kernel holds now."""

from __future__ import annotations

from typing import assert_never

from kernelbal.model.ipvs import DestinationAttributes, Forwarding, ServiceTable
from kernelbal.plan.kinds.service_actions import (
    AddDestination,
    AddService,
    DestinationAction,
    EditDestination,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
    ServiceAction,
)


def is_done(action: ServiceAction | DestinationAction, held: ServiceTable) -> bool:
    """Return whether the kernel already is what `action` makes it."""
    match action:
        case AddService(key, attributes) | EditService(key, _, attributes):
            return key in held and held[key].attributes == attributes
        case RemoveService(key):
            return key not in held
        case _:
            return _is_destination_done(action, held)


def _is_destination_done(action: DestinationAction, held: ServiceTable) -> bool:
    server = held.get(action.service)
    found = server.destinations.get(action.key) if server else None
    match action:
        case AddDestination(_, _, attributes) | EditDestination(_, _, _, attributes):
            return found == _as_held(attributes)
        case QuiesceDestination():
            return found is not None and found.weight == 0
        case RemoveDestination():
            return found is None
        case _:
            assert_never(action)


def _as_held(attributes: DestinationAttributes) -> DestinationAttributes:
    if attributes.forwarding == Forwarding.TUNNEL:
        return attributes
    return attributes._replace(tunnel_type=0, tunnel_port=0, tunnel_flags=0)
