"""The drivers of IPVS services and of the IPVS timeouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kernelbal.errors import NotSupported
from kernelbal.kernel.driver import Driver, Sockets
from kernelbal.kernel.ipvs import wire
from kernelbal.kernel.refusals import refused
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.kind import ObservedState, Scope
from kernelbal.plan.kinds.service_actions import DestinationAction, ServiceAction
from kernelbal.plan.kinds.services import IPVS, SERVICES, IpvsInfo
from kernelbal.plan.kinds.timeouts import TIMEOUTS, SetTimeouts


def _observe(sockets: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
    try:
        ipvs = sockets.ipvs
    except NotSupported:
        return found.having(IPVS, IpvsInfo(available=False))
    table = ipvs.read()[0] if scope is None else ipvs.read_services(scope)
    info = IpvsInfo(connection_buckets=ipvs.read_info().connection_buckets)
    return found.having(SERVICES, table).having(IPVS, info)


def _perform(sockets: Sockets, actions: Sequence[ServiceAction | DestinationAction]) -> list[Outcome]:
    return sockets.ipvs.perform(actions)


def _observe_timeouts(sockets: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
    try:
        return found.having(TIMEOUTS, sockets.ipvs.read_timeouts())
    except NotSupported:
        return found


def _perform_timeouts(sockets: Sockets, actions: Sequence[SetTimeouts]) -> list[Outcome]:
    return [_set_timeouts(sockets, action) for action in actions]


def _set_timeouts(sockets: Sockets, action: SetTimeouts) -> Outcome:
    refusal = sockets.ipvs.order(wire.CMD_SET_CONFIG, wire.timeouts(action.timeouts))
    return Outcome(action, Result.DONE) if refusal is None else refused(action, *refusal)


SERVICES_DRIVER: Final = Driver(_observe, _perform)
TIMEOUTS_DRIVER: Final = Driver(_observe_timeouts, _perform_timeouts)
