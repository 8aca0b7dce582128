"""How a packet goes on to a real server (`ip_vs_xmit.c`): what is rewritten, added, and where it leaves."""

from __future__ import annotations

from collections.abc import Mapping

from kernelbal.model.address import Address, family_of, format_address, format_endpoint
from kernelbal.model.headers import encapsulation_bytes
from kernelbal.model.ipvs import (
    DestinationAttributes,
    DestinationKey,
    Forwarding,
    TunnelFlag,
    TunnelType,
)
from kernelbal.model.network import Route
from kernelbal.plan.explain.query import ExplainQuery, KernelView
from kernelbal.plan.explain.result import ForwardPath, StepVerdict
from kernelbal.plan.reachability import RouteTable, hop_text

METHODS: Mapping[Forwarding, StepVerdict] = {
    Forwarding.NAT: StepVerdict.NAT,
    Forwarding.LOCAL: StepVerdict.OWN_STACK,
    Forwarding.TUNNEL: StepVerdict.TUNNEL,
    Forwarding.DSR: StepVerdict.DSR,
    Forwarding.BYPASS: StepVerdict.BYPASS,
}
"""The verdict of each forwarding method."""


def path_to(
    query: ExplainQuery,
    view: KernelView,
    routes: RouteTable,
    key: DestinationKey,
    attributes: DestinationAttributes,
) -> ForwardPath:
    """Return how a packet goes to a real server."""
    method = METHODS[Forwarding(attributes.forwarding)]
    if method is StepVerdict.OWN_STACK or view.local(key.address) is not None:
        port = key.port if method is StepVerdict.NAT and key.port else query.port
        text = f"the real server is this director: its own stack gets the packet at port {port}"
        return ForwardPath(StepVerdict.OWN_STACK, port, None, None, 0, 0, text)
    port = (key.port or query.port) if method is StepVerdict.NAT else query.port
    route = routes.lookup(key.address)
    overhead_bytes = _overhead(key.address, attributes) if method is StepVerdict.TUNNEL else 0
    mtu_bytes = _mtu(view, route)
    text = f"{_change(query, key.address, port, attributes)}; {_way_out(route)}"
    if overhead_bytes and mtu_bytes:
        text += (
            f"; encapsulation takes {overhead_bytes} of the device's {mtu_bytes} bytes,"
            f" {mtu_bytes - overhead_bytes} are left"
        )
    return ForwardPath(
        method,
        port,
        route.device if route else None,
        route.gateway if route else None,
        overhead_bytes,
        mtu_bytes - overhead_bytes if mtu_bytes else 0,
        text,
        _problems(method, key.address, route, view),
    )


def _overhead(address: Address, attributes: DestinationAttributes) -> int:
    kind, flag = TunnelType(attributes.tunnel_type), TunnelFlag(attributes.tunnel_flags)
    return encapsulation_bytes(family_of(address), kind, flag)


def _mtu(view: KernelView, route: Route | None) -> int:
    if route is None:
        return 0
    return next((link.mtu_bytes for link in view.links if link.name == route.device), 0)


def _change(query: ExplainQuery, address: Address, port: int, attributes: DestinationAttributes) -> str:
    match Forwarding(attributes.forwarding):
        case Forwarding.NAT:
            return f"destination rewritten to {format_endpoint(address, port)}"
        case Forwarding.DSR:
            return f"destination kept, sent to the MAC address of {format_address(address)}"
        case Forwarding.TUNNEL:
            kind = TunnelType(attributes.tunnel_type).name.lower()
            at = f" port {attributes.tunnel_port}" if attributes.tunnel_port else ""
            return f"destination kept, wrapped in {kind} to {format_address(address)}{at}"
        case _:
            return "forwarded to the packet's own destination"


def _way_out(route: Route | None) -> str:
    if route is None:
        return "no route to the real server is known"
    return f"out of {hop_text(route)}"


def _problems(
    method: StepVerdict, address: Address, route: Route | None, view: KernelView
) -> tuple[str, ...]:
    if route is None:
        return (f"no route to {format_address(address)}: the packet is dropped",) if view.live else ()
    problems = []
    if method is StepVerdict.DSR and route.gateway is not None:
        gateway = format_address(route.gateway)
        problems.append(
            f"{format_address(address)} is behind a gateway: dsr would send the packet to {gateway}"
        )
    if any(link.name == route.device and not link.up for link in view.links):
        problems.append(f"{route.device} is down")
    return tuple(problems)
