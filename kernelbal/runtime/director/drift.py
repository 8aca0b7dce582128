"""Which actions of a plan revert external changes.

Between two rounds nobody of ours touches the kernel. So where it is not as the last round left it, somebody
else was at work, and an action on that object is a repair; every other action follows from a new decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.network import AddressAttributes, AddressKey
from kernelbal.model.state import ObservedState
from kernelbal.plan.actions import (
    Action,
    AddAddress,
    AddDestination,
    AddRoute,
    AddRule,
    AddService,
    EditDestination,
    EditService,
    EnsureLink,
    Outcome,
    QuiesceDestination,
    RemoveAddress,
    RemoveDestination,
    RemoveLink,
    RemoveRoute,
    RemoveRule,
    RemoveService,
    ReplaceAddress,
    ReplaceRoute,
    ReplaceTable,
    Result,
    SetTimeouts,
    WriteSysctl,
    service_of,
)
from kernelbal.plan.describe import Names, describe

NAMED: Final = 3
"""How many repairs an event names."""


class Drift:
    """What changed between the end of one round and the beginning of the next.

    Args:
        left: the kernel at the end of the last round.
        found: the kernel at the beginning of this one.
    """

    def __init__(self, left: ObservedState, found: ObservedState) -> None:
        self._left = left
        self._found = found
        self._addresses = (_addresses(left), _addresses(found))
        self._links = tuple({link.name: link.up for link in state.links} for state in (left, found))

    def repairs(self, action: Action) -> bool:
        """Return whether an action reverts an external change."""
        left, found = self._left, self._found
        match action:
            case AddService() | EditService() | RemoveService():
                old, new = left.services.get(action.key), found.services.get(action.key)
                return (old and old.attributes) != (new and new.attributes)
            case AddDestination() | EditDestination() | QuiesceDestination() | RemoveDestination():
                old, new = left.services.get(action.service), found.services.get(action.service)
                return (old and old.destinations.get(action.key)) != (
                    new and new.destinations.get(action.key)
                )
            case SetTimeouts():
                return left.timeouts != found.timeouts
            case _:
                return self._network(action)

    def _network(self, action: Action) -> bool:
        left, found = self._left, self._found
        match action:
            case AddAddress() | ReplaceAddress() | RemoveAddress():
                return self._addresses[0].get(action.key) != self._addresses[1].get(action.key)
            case EnsureLink():
                return self._links[0].get(action.link.name) != self._links[1].get(action.link.name)
            case RemoveLink():
                return self._links[0].get(action.name) != self._links[1].get(action.name)
            case WriteSysctl(path):
                return path in left.sysctls and left.sysctls[path] != found.sysctls.get(path)
            case ReplaceTable():
                return left.nft != found.nft
            case AddRule(rule) | RemoveRule(rule):
                return (rule in left.rules) is not (rule in found.rules)
            case AddRoute() | ReplaceRoute() | RemoveRoute():
                return left.table_routes.get(action.key) != found.table_routes.get(action.key)
            case _:
                raise AssertionError(action)


def _addresses(state: ObservedState) -> dict[AddressKey, AddressAttributes]:
    return {address.key: address.attributes for address in state.addresses}


def repairs(left: ObservedState | None, found: ObservedState, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes that reverted external changes; none without an earlier round."""
    if left is None or not outcomes:
        return []
    drift = Drift(left, found)
    done = (o for o in outcomes if o.result in (Result.DONE, Result.ALREADY))
    return [outcome for outcome in done if drift.repairs(outcome.action)]


def repair_event(repaired: Sequence[Outcome], names: Names) -> Event:
    """Return the event for the repairs of one round; it names some and counts all."""
    lines = [describe(outcome.action, names) for outcome in repaired[:NAMED]]
    more = len(repaired) - len(lines)
    told = ", ".join(f"{line.sign} {line.text}" for line in lines) + (f", and {more} more" if more else "")
    service = next((name for o in repaired if (name := _name_of(o.action, names))), "")
    return Event(
        Topic.DRIFT_REPAIRED,
        Severity.WARNING,
        f"external change reverted: {told}",
        service=service,
        fields=(("repairs", str(len(repaired))),),
    )


def _name_of(action: Action, names: Names) -> str:
    key = service_of(action)
    return "" if key is None else names.get(key, "")
