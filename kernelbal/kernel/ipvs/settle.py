"""What became of an action: by the kernel's refusal, or by what it holds where the answer was lost."""

from __future__ import annotations

from typing import assert_never

from kernelbal.kernel import errno_map
from kernelbal.kernel.errno_map import Operation, Subject
from kernelbal.kernel.netlink import Refusal
from kernelbal.model.ipvs import DestinationAttributes, Forwarding, ServiceKey, ServiceTable, Timeouts
from kernelbal.plan.actions import (
    AddDestination,
    AddService,
    EditDestination,
    EditService,
    IpvsAction,
    Outcome,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
    SetTimeouts,
)

OPERATIONS: dict[type[IpvsAction], Operation] = {
    AddService: Operation.ADD_SERVICE,
    EditService: Operation.EDIT_SERVICE,
    RemoveService: Operation.REMOVE_SERVICE,
    AddDestination: Operation.ADD_DESTINATION,
    EditDestination: Operation.EDIT_DESTINATION,
    QuiesceDestination: Operation.QUIESCE_DESTINATION,
    RemoveDestination: Operation.REMOVE_DESTINATION,
    SetTimeouts: Operation.SET_TIMEOUTS,
}


def service_of(action: IpvsAction) -> ServiceKey | None:
    """Return the service that an action touches; None for one that touches none."""
    match action:
        case AddService() | EditService() | RemoveService():
            return action.key
        case SetTimeouts():
            return None
        case _:
            return action.service


def subject_of(action: IpvsAction) -> Subject:
    """Return what an action is about, in words."""
    match action:
        case AddService(key, attributes) | EditService(key, _, attributes):
            return Subject(str(key), attributes.scheduler, attributes.engine)
        case RemoveService(key):
            return Subject(str(key))
        case SetTimeouts():
            return Subject("")
        case _:
            return Subject(f"{action.service} -> {action.key}")


def refused(action: IpvsAction, refusal: Refusal) -> Outcome:
    """Return the outcome of an action that the kernel refused."""
    explained = errno_map.explain(OPERATIONS[type(action)], refusal.errno, subject_of(action), refusal.text)
    return Outcome(action, explained.result, refusal.errno, explained.message, explained.hint)


def is_done(action: IpvsAction, held: ServiceTable, timeouts: Timeouts) -> bool:
    """Return whether the kernel already is what `action` makes it."""
    match action:
        case AddService(key, attributes) | EditService(key, _, attributes):
            return key in held and held[key].attributes == attributes
        case RemoveService(key):
            return key not in held
        case SetTimeouts(_, values):
            return timeouts == values
        case _:
            return _is_destination_done(action, held)


def _is_destination_done(
    action: AddDestination | EditDestination | QuiesceDestination | RemoveDestination, held: ServiceTable
) -> bool:
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
