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
from kernelbal.plan.explain.question import Question, View
from kernelbal.plan.explain.result import Path, Verdict
from kernelbal.plan.reachability import RouteTable

METHODS: Mapping[Forwarding, Verdict] = {
    Forwarding.NAT: Verdict.NAT,
    Forwarding.LOCAL: Verdict.OWN_STACK,
    Forwarding.TUNNEL: Verdict.TUNNEL,
    Forwarding.DSR: Verdict.DSR,
    Forwarding.BYPASS: Verdict.BYPASS,
}
"""The verdict of each forwarding method."""


def path_to(
    question: Question,
    view: View,
    routes: RouteTable,
    key: DestinationKey,
    attributes: DestinationAttributes,
) -> Path:
    """Return how a packet goes to a real server."""
    method = METHODS[Forwarding(attributes.forwarding)]
    if method is Verdict.OWN_STACK or view.local(key.address) is not None:
        port = key.port if method is Verdict.NAT and key.port else question.port
        text = f"the real server is this director: its own stack gets the packet at port {port}"
        return Path(Verdict.OWN_STACK, port, None, None, 0, 0, text)
    port = (key.port or question.port) if method is Verdict.NAT else question.port
    route = routes.lookup(key.address)
    overhead_bytes = _overhead(key.address, attributes) if method is Verdict.TUNNEL else 0
    mtu_bytes = _mtu(view, route)
    text = f"{_change(question, key.address, port, attributes)}; {_way_out(route)}"
    if overhead_bytes and mtu_bytes:
        text += (
            f"; {overhead_bytes} of the device's {mtu_bytes} bytes go to the encapsulation,"
            f" {mtu_bytes - overhead_bytes} are left"
        )
    return Path(
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


def _mtu(view: View, route: Route | None) -> int:
    if route is None:
        return 0
    return next((link.mtu_bytes for link in view.links if link.name == route.device), 0)


def _change(question: Question, address: Address, port: int, attributes: DestinationAttributes) -> str:
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
            return "passed on to where the packet was addressed"


def _way_out(route: Route | None) -> str:
    if route is None:
        return "no route to the real server is known"
    if route.gateway is None:
        return f"out of {route.device}, on-link"
    return f"out of {route.device} through gateway {format_address(route.gateway)}"


def _problems(method: Verdict, address: Address, route: Route | None, view: View) -> tuple[str, ...]:
    if route is None:
        return (f"no route to {format_address(address)}: the packet is dropped",) if view.live else ()
    problems = []
    if method is Verdict.DSR and route.gateway is not None:
        gateway = format_address(route.gateway)
        problems.append(
            f"{format_address(address)} is behind a gateway: dsr would send the packet to {gateway}"
        )
    if any(link.name == route.device and not link.up for link in view.links):
        problems.append(f"{route.device} is down")
    return tuple(problems)
