"""What an action does to traffic, in words."""

from __future__ import annotations

from kernelbal.model.ipvs import CounterTable, ServiceFlag
from kernelbal.model.nft import EMPTY_TABLE, NftTable
from kernelbal.model.units import counted
from kernelbal.plan.actions import (
    Action,
    EditDestination,
    EditService,
    QuiesceDestination,
    RemoveAddress,
    RemoveDestination,
    RemoveService,
    ReplaceTable,
    SetTimeouts,
)
from kernelbal.plan.classifier import MASQUERADE_RULE
from kernelbal.plan.diff import nat_chains
from kernelbal.plan.drain import NO_CONNECTIONS, open_connections
from kernelbal.plan.edge_rules import BY_EXPRESSION


def impact(action: Action, counters: CounterTable) -> str:
    """Return the effect on traffic, such as `312 active connections would be cut`; empty when none."""
    match action:
        case RemoveDestination(service, key):
            cut = open_connections(service, counters.get(service, {}).get(key, NO_CONNECTIONS))
            return _cut(cut)
        case RemoveService(key):
            live = counters.get(key, {}).values()
            return _cut(sum(open_connections(key, each) for each in live))
        case QuiesceDestination(service, key, _, drain_s):
            left = counters.get(service, {}).get(key, NO_CONNECTIONS)
            return _quiesce(open_connections(service, left), drain_s)
        case RemoveAddress():
            return "clients can no longer reach this address"
        case EditService():
            return _edit_service(action)
        case EditDestination():
            return _edit_destination(action, counters)
        case ReplaceTable(old, table):
            return _replace_table(old, table)
        case SetTimeouts():
            return "new and refreshed connections only"
        case _:
            return ""


def _replace_table(old: NftTable | None, table: NftTable) -> str:
    """Without a NAT chain the kernel stops to translate what is established (`nf_nat_unregister_fn`)."""
    lost = nat_chains(old or EMPTY_TABLE)
    if not lost or nat_chains(table):
        return ""
    rules = {rule.expression for chain in lost for rule in chain.rules}
    translated = "translated" if not rules.isdisjoint(BY_EXPRESSION) else ""
    one_armed = "one-armed" if MASQUERADE_RULE.expression in rules else ""
    kinds = " and ".join(filter(None, (one_armed, translated)))
    return f"{kinds} connections that are still open would be cut".lstrip()


def _cut(connections: int) -> str:
    if not connections:
        return ""
    return f"{counted(connections, 'active connection')} would be cut"


def _quiesce(connections: int, drain_s: float) -> str:
    if not connections:
        return "no new connections; it has none"
    some = counted(connections, "connection has", "connections have")
    return f"no new connections; {some} {drain_s:.0f} s to end"


def _edit_service(action: EditService) -> str:
    was, now = action.old.flags & ServiceFlag.PERSISTENT, action.attributes.flags & ServiceFlag.PERSISTENT
    if was and not now:
        return "clients are no longer kept on their real server"
    if action.old.scheduler != action.attributes.scheduler:
        return "new connections only"
    return ""


def _edit_destination(action: EditDestination, counters: CounterTable) -> str:
    live = counters.get(action.service, {}).get(action.key, NO_CONNECTIONS)
    if action.old.weight and not action.attributes.weight:
        return f"no new connections; {live.active} active go on"
    if action.old.forwarding != action.attributes.forwarding:
        return "new connections only; established ones keep their forwarding method"
    return ""
