"""Policy routing: rules, and the routes in the tables that they lead to; ours bear a mark in the kernel."""

from __future__ import annotations

import errno
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple

from kernelbal.model.address import family_of
from kernelbal.model.policy_route import NextHop, Rule, TableRouteKey
from kernelbal.plan.action import GONE, THERE, Action, ActionRow, Effect, Names, Phase, Rows, failed
from kernelbal.plan.kind import ObjectKind, ObservedState, Planning


@dataclass(frozen=True, slots=True)
class Routing:
    """Rules, and where the routes in their tables lead."""

    rules: frozenset[Rule] = frozenset()
    routes: Mapping[TableRouteKey, NextHop] = field(default_factory=dict)


class AddRule(NamedTuple):
    """Add a routing rule."""

    key: Rule

    def text(self, names: Names) -> str:
        """Name it."""
        return f"rule {self.key}"


class RemoveRule(NamedTuple):
    """Remove a routing rule of ours."""

    key: Rule

    def text(self, names: Names) -> str:
        """Name it."""
        return f"rule {self.key}"


class AddRoute(NamedTuple):
    """Add a route to a table of its own."""

    key: TableRouteKey
    hop: NextHop

    def text(self, names: Names) -> str:
        """Name it with its next hop."""
        return f"route {self.key} {self.hop}"


class ReplaceRoute(NamedTuple):
    """Let a route of ours lead elsewhere, in place."""

    key: TableRouteKey
    old: NextHop
    hop: NextHop

    def text(self, names: Names) -> str:
        """Name it with both next hops."""
        return f"route {self.key} {self.old} -> {self.hop}"


class RemoveRoute(NamedTuple):
    """Remove a route of ours from a table of its own."""

    key: TableRouteKey

    def text(self, names: Names) -> str:
        """Name it."""
        return f"route {self.key}"


_NO_POLICY_ROUTING = failed(
    "the kernel has no policy routing",
    "use a kernel with CONFIG_IP_MULTIPLE_TABLES and its IPv6 twin",
)
_NO_WAY_TO_GATEWAY = failed(
    "the gateway cannot be reached by this device",
    "its subnet must be on the device, which must be up: correct `gateway` or `network` of the edge route",
)
_NO_GATEWAY = {
    **dict.fromkeys(
        (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EINVAL), _NO_WAY_TO_GATEWAY
    ),
    errno.ENODEV: failed(
        "there is no such device", "name an existing device in node.yaml: `ip link` lists them"
    ),
}


class PolicyRouting(ObjectKind[Routing, Routing, None]):
    """Nothing is recorded: the kernel itself says what is ours."""

    title = "policy routing"
    rows: ClassVar[Rows] = {
        AddRoute: ActionRow(
            Effect.ADD,
            Phase.ADD_ROUTES,
            "add route",
            {
                **_NO_GATEWAY,
                errno.EEXIST: failed(
                    "the table holds such a route of someone else",
                    "name another `table` in the edge route, or remove theirs: `ip route show table all`",
                ),
            },
        ),
        ReplaceRoute: ActionRow(Effect.CHANGE, Phase.ADD_ROUTES, "change route", _NO_GATEWAY),
        AddRule: ActionRow(
            Effect.ADD,
            Phase.ADD_RULES,
            "add routing rule",
            {
                errno.EEXIST: THERE,
                errno.EOPNOTSUPP: _NO_POLICY_ROUTING,
                errno.EAFNOSUPPORT: _NO_POLICY_ROUTING,
            },
        ),
        RemoveRule: ActionRow(Effect.REMOVE, Phase.REMOVE_RULES, "remove routing rule", {errno.ENOENT: GONE}),
        RemoveRoute: ActionRow(Effect.REMOVE, Phase.REMOVE_ROUTES, "remove route", {errno.ESRCH: GONE}),
    }

    def diff(self, planning: Planning) -> None:
        """A rule comes after the routes of its table, and goes before them."""
        desired, observed, _ = planning.parts(self)
        for key, hop in desired.routes.items():
            old = observed.routes.get(key)
            if old is None:
                planning.put(self, AddRoute(key, hop))
            elif old != hop:
                planning.put(self, ReplaceRoute(key, old, hop))
        for rule in sorted(desired.rules - observed.rules):
            planning.put(self, AddRule(rule))
        if planning.draining:
            return
        for rule in sorted(observed.rules - desired.rules):
            planning.put(self, RemoveRule(rule))
        for key in sorted(observed.routes.keys() - desired.routes.keys()):
            planning.put(self, RemoveRoute(key))

    def holds_back(self, failures: Collection[Action], action: Action) -> str:
        """What cannot be replaced stays as it is: those packets keep the way that they have."""
        match action:
            case AddRule(rule) if any(_leads_nowhere(each, rule) for each in failures):
                return "its table has no route"
            case RemoveRule(rule) if any(
                isinstance(each, AddRule) and _packets(each.key) == _packets(rule) for each in failures
            ):
                return "the rule that takes its place could not be added"
            case RemoveRoute(key) if any(
                isinstance(each, RemoveRule) and _table(each.key) == (family_of(key.destination), key.table)
                for each in failures
            ):
                return "the rule that leads to it stays"
            case _:
                return ""

    def value(self, observed: Routing, key: Hashable) -> object:
        """Return whether a rule is there, or where a route leads."""
        return key in observed.rules if isinstance(key, Rule) else observed.routes.get(key)  # type: ignore[call-overload] # the other key

    def kept(self, observed: ObservedState, owned: None) -> Routing:
        """Return all that bears our mark."""
        return observed.of(self)


def _leads_nowhere(failure: Action, rule: Rule) -> bool:
    if not isinstance(failure, AddRoute) or failure.key.prefix:
        return False
    return (family_of(failure.key.destination), failure.key.table) == _table(rule)


def _table(rule: Rule) -> tuple[int, int]:
    return (rule.family, rule.table)


def _packets(rule: Rule) -> tuple[object, ...]:
    """Return which packets a rule is for."""
    return (rule.family, rule.source, rule.source_prefix, rule.destination, rule.destination_prefix)


ROUTING: Final = PolicyRouting("routing", Routing(), Routing(), None, Routing)
