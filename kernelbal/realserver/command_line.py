"""A preparation as the command that makes it: nothing that was chosen is left to what the command finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kernelbal.model.address import format_address
from kernelbal.realserver.preparation import MAX_RANGE, STANDARD_MTU_BYTES, Method, PortMap, Preparation


def command_of(one: Preparation, *, real: str = "", persist: str = "") -> str:
    """Return the command to type on a real server.

    Args:
        one: what it prepares.
        real: what stands for the real address; empty for the one of the preparation.
        persist: who brings it back at boot; empty lets the command find out.
    """
    return " ".join(_words(one, real or format_address(one.real), persist))


def _words(one: Preparation, real: str, persist: str) -> Iterator[str]:
    yield f"kernelbal realserver apply {format_address(one.virtual)}"
    yield from tunnel_options(one)
    if one.method is not Method.LOOPBACK:
        yield f"--method {one.method.value}"
    yield from (f"--interface {name}" for name in one.interfaces)
    yield f"--real {real}"
    yield from port_options(one.ports)
    if one.mtu_bytes != STANDARD_MTU_BYTES:
        yield f"--mtu {one.mtu_bytes}"
    if persist or not one.at_boot:
        yield f"--persist {persist or 'none'}"


def tunnel_options(one: Preparation) -> Iterator[str]:
    """Yield the options for the forwarding method; none for direct server return, which is the default."""
    if one.tunnel is not None:
        yield f"--forwarding tunnel --tunnel {one.tunnel.kind.name.lower()}"
        if one.tunnel.port:
            yield f"--tunnel-port {one.tunnel.port}"


def port_options(ports: Iterable[PortMap]) -> Iterator[str]:
    """Yield `--port` with each port; neighbours that are not led to another port are one range."""
    runs: list[list[PortMap]] = []
    for port in ports:
        if runs and _continues(runs[-1], port):
            runs[-1].append(port)
        else:
            runs.append([port])
    for run in runs:
        yield f"--port {run[0].port}-{run[-1]}" if len(run) > 1 else f"--port {run[0]}"


def _continues(run: list[PortMap], port: PortMap) -> bool:
    last = run[-1]
    unmoved = last.port == last.to_port and port.port == port.to_port
    return unmoved and len(run) < MAX_RANGE and (last.protocol, last.port + 1) == (port.protocol, port.port)
