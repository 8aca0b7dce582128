"""How a real server's answer comes back to the client, and what has to hold for that."""

from __future__ import annotations

from collections.abc import Mapping

from kernelbal.model.address import Address, format_address, host_prefix, in_network
from kernelbal.model.ipvs import DestinationAttributes, DestinationKey, TunnelType
from kernelbal.model.network import Route
from kernelbal.plan.explain.question import Question, View
from kernelbal.plan.explain.result import Path, Reply, Verdict
from kernelbal.plan.reachability import RouteTable

CONNTRACK = "net/ipv4/vs/conntrack"
"""Whether IPVS connections are known to connection tracking, which masquerading needs."""
FORWARDING: Mapping[int, str] = {4: "net/ipv4/ip_forward", 16: "net/ipv6/conf/all/forwarding"}
"""Whether the director routes, by the length of an address."""
SYSCTLS = (CONNTRACK, *FORWARDING.values())
"""The sysctls that a way back depends on."""

_TUNNEL_DEVICES: Mapping[tuple[TunnelType, int, int], str] = {
    (TunnelType.IPIP, 4, 4): "`tunl0` is up",
    (TunnelType.IPIP, 4, 16): "`sit0` is up",
    (TunnelType.IPIP, 16, 16): "`ip6tnl0` is up",
    (TunnelType.IPIP, 16, 4): "an `ip6tnl` device of mode `any` from the director is up",
    (TunnelType.GRE, 4, 4): "`gre0` is up",
    (TunnelType.GRE, 4, 16): "`gre0` is up",
    (TunnelType.GRE, 16, 16): "`ip6gre0` is up",
    (TunnelType.GRE, 16, 4): "`ip6gre0` is up",
}


def reply_from(
    question: Question,
    view: View,
    routes: RouteTable,
    key: DestinationKey,
    attributes: DestinationAttributes,
    path: Path,
    *,
    masquerade: bool,
) -> Reply:
    """Return how the answer of one real server comes back."""
    match path.method:
        case Verdict.OWN_STACK:
            return Reply(Verdict.OWN_STACK, "the director's own stack answers the client itself")
        case Verdict.NAT if masquerade:
            return _masqueraded(view, path)
        case Verdict.NAT:
            return _via_director(question, view, routes, key.address, path)
        case _:
            return _straight(question, view, key.address, attributes, path)


def _masqueraded(view: View, path: Path) -> Reply:
    device = path.device or "the device towards the real server"
    text = f"back to this director, whose address on {device} the real server sees as the client"
    conditions = ("nothing on the real server; it does not see the client's address",)
    setting = view.sysctls.get(CONNTRACK)
    problems = (
        (f"{_dotted(CONNTRACK)} is {setting}: masquerading needs 1",) if setting not in (None, "1") else ()
    )
    return Reply(Verdict.MASQUERADED, text, conditions, problems)


def _via_director(question: Question, view: View, routes: RouteTable, server: Address, path: Path) -> Reply:
    client = format_address(question.client)
    gateways = _addresses_beside(view, server, path)
    at = f", which is {' or '.join(gateways)} there" if gateways else ""
    conditions = [f"the real server's route to {client} leads through this director{at}"]
    setting = FORWARDING[len(server)]
    conditions.append(f"{_dotted(setting)} is 1 on this director")
    problems = _bypasses(question, view, routes.lookup(question.client), server, path)
    if view.sysctls.get(setting) == "0":
        problems.append(f"{_dotted(setting)} is 0: replies are not routed")
    text = "back through this director, which puts the virtual address back"
    return Reply(Verdict.VIA_DIRECTOR, text, tuple(conditions), tuple(problems))


def _addresses_beside(view: View, server: Address, path: Path) -> list[str]:
    """Return the director's addresses on the real server's segment: those that may be its gateway."""
    return [
        format_address(key.address)
        for key in view.addresses
        if key.device == path.device
        and key.prefix < host_prefix(key.address)
        and in_network(server, key.address, key.prefix)
    ]


def _bypasses(
    question: Question, view: View, to_client: Route | None, server: Address, path: Path
) -> list[str]:
    shown = format_address(server)
    if path.gateway is not None:
        return [f"{shown} is behind a gateway, so replies do not come back this way by themselves"]
    on_same_link = to_client is not None and to_client.gateway is None and to_client.device == path.device
    if on_same_link and view.local(question.client) is None:
        return [
            f"the client is on the segment of {shown}: the reply goes to it straight, from an address that it"
            " did not ask (`one_armed: true` helps)"
        ]
    return []


def _straight(
    question: Question, view: View, server: Address, attributes: DestinationAttributes, path: Path
) -> Reply:
    virtual = format_address(question.virtual)
    conditions = [f"the real server holds {virtual} on `lo`, a dummy or a tunnel device"]
    if len(question.virtual) == 4:
        conditions.append("it keeps silent about it in ARP (`arp_ignore` 1, `arp_announce` 2)")
    if path.method is Verdict.TUNNEL:
        conditions.extend(_tunnel_conditions(question, server, attributes, path))
    conditions.append(f"its program listens on {virtual} port {question.port} or on all addresses")
    problems = []
    if view.local(question.client) is not None:
        problems.append("the client is this director: the reply comes from its own address and is dropped")
    text = "straight from the real server to the client, past this director"
    return Reply(Verdict.STRAIGHT, text, tuple(conditions), tuple(problems))


def _tunnel_conditions(
    question: Question, server: Address, attributes: DestinationAttributes, path: Path
) -> list[str]:
    kind = TunnelType(attributes.tunnel_type)
    if kind is TunnelType.GUE:
        device = f"it listens for gue on UDP port {attributes.tunnel_port}"
    else:
        device = _TUNNEL_DEVICES[kind, len(server), len(question.virtual)]
    conditions = [device]
    if len(question.virtual) == 4:
        conditions.append(
            "`rp_filter` of the tunnel device is 2 with an address on it, else 0 there and on `all`"
        )
    if path.mtu_bytes:
        conditions.append(f"clients send no packet above {path.mtu_bytes} bytes (clamp the MSS)")
    return conditions


def _dotted(path: str) -> str:
    return path.replace("/", ".")
