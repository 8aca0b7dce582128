"""States and records by the names of their parts, for tests that say a lot with them."""

from collections.abc import Iterable
from typing import Any

from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.plan.action import Action, Outcome, Result
from kernelbal.plan.kind import AnyKind, DesiredState, ObservedState, Ownership
from kernelbal.plan.kinds import BY_ACTION
from kernelbal.plan.kinds.addresses import ADDRESSES
from kernelbal.plan.kinds.files import FILES
from kernelbal.plan.kinds.links import LINKS
from kernelbal.plan.kinds.listeners import LISTENERS
from kernelbal.plan.kinds.routing import ROUTING, Routing
from kernelbal.plan.kinds.services import COUNTERS, IPVS, SERVICES, DesiredServices, IpvsInfo, OwnedServices
from kernelbal.plan.kinds.sysctls import ROUTES, SYSCTLS
from kernelbal.plan.kinds.tables import FOREIGN_TABLES, TABLES
from kernelbal.plan.kinds.timeouts import TIMEOUTS
from kernelbal.plan.planning import Batch, Plan, settle

_SIMPLE: dict[str, Any] = {"addresses": ADDRESSES, "links": LINKS, "sysctls": SYSCTLS, "timeouts": TIMEOUTS}
_READINGS: dict[str, Any] = {
    "counters": COUNTERS,
    "routes": ROUTES,
    "foreign_nft": FOREIGN_TABLES,
    "services": SERVICES,
}


def _tables(nft: Any) -> Any:  # noqa: ANN401 (a table of the director, or none)
    return {} if nft is None or nft.empty else {EMPTY_TABLE.title: nft}


def _routing(parts: dict[str, Any]) -> Routing:
    return Routing(frozenset(parts.pop("rules", ())), parts.pop("table_routes", {}))


def desired_of(**parts: Any) -> DesiredState:  # noqa: ANN401 (parts of any kind)
    """A desired state of these parts."""
    state = DesiredState().having(ROUTING, _routing(parts)).having(TABLES, _tables(parts.pop("nft", None)))
    services = DesiredServices(parts.pop("services", {}), parts.pop("policies", {}))
    state = state.having(SERVICES, services)
    for name, part in parts.items():
        state = state.having(_SIMPLE[name], part)
    return state


def observed_of(**parts: Any) -> ObservedState:  # noqa: ANN401 (parts of any kind)
    """An observed state of these parts."""
    nft = parts.pop("nft", None)
    tables = {} if nft is None else {nft.title: nft}
    state = ObservedState().having(ROUTING, _routing(parts)).having(TABLES, tables)
    info = IpvsInfo(parts.pop("ipvs_available", True), parts.pop("connection_table_size", 0))
    state = state.having(IPVS, info)
    for name, part in parts.items():
        state = state.having({**_SIMPLE, **_READINGS}[name], part)
    return state


def owned_of(boot_id: str = "", **parts: Any) -> Ownership:  # noqa: ANN401 (parts of any kind)
    """A record of these parts."""
    services = OwnedServices(
        frozenset(parts.pop("services", ())), parts.pop("drains", {}), parts.pop("drain_s", {})
    )
    record = Ownership(boot_id).having(SERVICES, services)
    for name, part in parts.items():
        record = record.having(
            {**_SIMPLE, "listeners": LISTENERS, "files": FILES, "tables": TABLES}[name], part
        )
    return record


def plan_of(*actions: Action, **more: Any) -> Plan:  # noqa: ANN401 (what a plan holds beside actions)
    """A plan of these actions, each in a batch of its own."""
    return Plan(tuple(Batch(BY_ACTION[type(action)], (action,)) for action in actions), **more)


def settled(record: Ownership, outcomes: Iterable[Outcome], desired: DesiredState) -> Ownership:
    """The record after these outcomes."""
    done: dict[AnyKind, list[Action]] = {}
    for outcome in outcomes:
        if outcome.result in (Result.DONE, Result.ALREADY):
            done.setdefault(BY_ACTION[type(outcome.action)], []).append(outcome.action)
    return settle(record, done, desired)
