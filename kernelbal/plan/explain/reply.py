"""How a real server's answer comes back to the client, and what has to hold for that."""

from __future__ import annotations

from collections.abc import Mapping

from kernelbal.model.address import Address, format_address, host_prefix, in_network
from kernelbal.model.ipvs import DestinationAttributes, DestinationKey, TunnelType
from kernelbal.model.network import Route
from kernelbal.plan.explain.query import ExplainQuery, KernelView
from kernelbal.plan.explain.result import ForwardPath, ReturnPath, StepVerdict
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
    query: ExplainQuery,
    view: KernelView,
    routes: RouteTable,
    key: DestinationKey,
    attributes: DestinationAttributes,
    path: ForwardPath,
    *,
    masquerade: bool,
) -> ReturnPath:
    """Return how the answer of one real server comes back."""
    match path.method:
        case StepVerdict.OWN_STACK:
            return ReturnPath(StepVerdict.OWN_STACK, "the director's own stack answers the client itself")
        case StepVerdict.NAT if masquerade:
            return _masqueraded(view, path)
        case StepVerdict.NAT:
            return _via_director(query, view, routes, key.address, path)
        case _:
            return _straight(query, view, key.address, attributes, path)


def _masqueraded(view: KernelView, path: ForwardPath) -> ReturnPath:
    device = path.device or "the device towards the real server"
    text = f"back to this director, whose address on {device} the real server sees as the client"
    conditions = ("nothing on the real server; it does not see the client's address",)
    setting = view.sysctls.get(CONNTRACK)
    problems = (
        (f"{_dotted(CONNTRACK)} is {setting}: masquerading needs 1",) if setting not in (None, "1") else ()
    )
    return ReturnPath(StepVerdict.MASQUERADED, text, conditions, problems)


def _via_director(
    query: ExplainQuery, view: KernelView, routes: RouteTable, server: Address, path: ForwardPath
) -> ReturnPath:
    client = format_address(query.client)
    gateways = _addresses_beside(view, server, path)
    at = f", which is {' or '.join(gateways)} there" if gateways else ""
    conditions = [f"the real server's route to {client} leads through this director{at}"]
    setting = FORWARDING[len(server)]
    conditions.append(f"{_dotted(setting)} is 1 on this director")
    problems = _bypasses(query, view, routes.lookup(query.client), server, path)
    if view.sysctls.get(setting) == "0":
        problems.append(f"{_dotted(setting)} is 0: replies are not routed")
    text = "back through this director, which restores the virtual address"
    return ReturnPath(StepVerdict.VIA_DIRECTOR, text, tuple(conditions), tuple(problems))


def _addresses_beside(view: KernelView, server: Address, path: ForwardPath) -> list[str]:
    """Return the director's addresses on the real server's segment: those that may be its gateway."""
    return [
        format_address(key.address)
        for key in view.addresses
        if key.device == path.device
        and key.prefix < host_prefix(key.address)
        and in_network(server, key.address, key.prefix)
    ]


def _bypasses(
    query: ExplainQuery, view: KernelView, to_client: Route | None, server: Address, path: ForwardPath
) -> list[str]:
    shown = format_address(server)
    if path.gateway is not None:
        return [f"{shown} is behind a gateway, so replies do not return through this director by themselves"]
    on_same_link = to_client is not None and to_client.gateway is None and to_client.device == path.device
    if on_same_link and view.local(query.client) is None:
        return [
            f"the client is on the segment of {shown}: the reply goes to it directly, from an address that it"
            " did not connect to (`one_armed: true` helps)"
        ]
    return []


def _straight(
    query: ExplainQuery,
    view: KernelView,
    server: Address,
    attributes: DestinationAttributes,
    path: ForwardPath,
) -> ReturnPath:
    virtual = format_address(query.virtual)
    conditions = [f"the real server holds {virtual} on `lo`, a dummy or a tunnel device"]
    if len(query.virtual) == 4:
        conditions.append("it does not answer ARP for it (`arp_ignore` 1, `arp_announce` 2)")
    if path.method is StepVerdict.TUNNEL:
        conditions.extend(_tunnel_conditions(query, server, attributes, path))
    conditions.append(f"its program listens on {virtual} port {query.port} or on all addresses")
    problems = []
    if view.local(query.client) is not None:
        problems.append("the client is this director: the reply comes from its own address and is dropped")
    text = "directly from the real server to the client, not through this director"
    return ReturnPath(StepVerdict.STRAIGHT, text, tuple(conditions), tuple(problems))


def _tunnel_conditions(
    query: ExplainQuery, server: Address, attributes: DestinationAttributes, path: ForwardPath
) -> list[str]:
    kind = TunnelType(attributes.tunnel_type)
    if kind is TunnelType.GUE:
        device = f"it listens for gue on UDP port {attributes.tunnel_port}"
    else:
        device = _TUNNEL_DEVICES[kind, len(server), len(query.virtual)]
    conditions = [device]
    if len(query.virtual) == 4:
        conditions.append(
            "`rp_filter` of the tunnel device is 2 with an address on it, else 0 there and on `all`"
        )
    if path.mtu_bytes:
        conditions.append(f"clients send no packet above {path.mtu_bytes} bytes (clamp the MSS)")
    return conditions


def _dotted(path: str) -> str:
    return path.replace("/", ".")
