"""How a preparation is described on the command line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from kernelbal.cli.choice import choice_option
from kernelbal.model.choices import ForwardingName, TunnelTypeName
from kernelbal.realserver.persist.manager import Manager
from kernelbal.realserver.preparation import Method

if TYPE_CHECKING:
    from kernelbal.model.address import Address
    from kernelbal.realserver.preparation import Encapsulation, PortMap, Preparation
    from kernelbal.realserver.resolve import PreparationRequest


VIRTUAL_ARGUMENT = typer.Argument(None, metavar="VIP", help="Addresses of virtual services, IPv4 and IPv6.")
FORWARDING_OPTION = choice_option(
    "--forwarding",
    (ForwardingName.DSR, ForwardingName.TUNNEL),
    help="Forwarding method of the virtual service; dsr by default.",
)
METHOD_OPTION = typer.Option(
    None,
    "--method",
    help="`loopback` (default): address on lo, ARP silenced by sysctls; `arp`: by nftables; `redirect`: no "
    "address, nftables leads packets to the host's own.",
)
INTERFACE_OPTION = typer.Option(
    None, "--interface", help="Device by which the director's packets come in; repeat for several."
)
REAL_OPTION = typer.Option(
    "", "--real", metavar="ADDRESS", help="The host's address in the site file, where it has several."
)
PORT_OPTION = typer.Option(
    None,
    "--port",
    metavar="PORT[-PORT|:TO][/PROTOCOL]",
    help="Port of the virtual service: `80`, `53/udp`, `8000-8010`; with redirect `80:8080`. Repeat.",
)
TUNNEL_OPTION = typer.Option(
    None, "--tunnel", help="Encapsulation, only with --forwarding tunnel; ipip by default."
)
TUNNEL_PORT_OPTION = typer.Option(
    0, "--tunnel-port", min=0, max=65535, help="UDP port of --tunnel gue.", show_default=False
)
MTU_OPTION = typer.Option(
    0, "--mtu", help="MTU of the path from the director; the interface's by default.", show_default=False
)
PERSIST_OPTION = choice_option(
    "--persist", Manager, unset="auto", help="Who brings it back at boot: `auto` by default, `none`: nobody."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `plan`, `apply` and `verify` as they were typed; None, empty or 0 where not."""

    virtual: list[str] | None
    forwarding: ForwardingName | None
    method: Method | None
    interface: list[str] | None
    real: str
    port: list[str] | None
    tunnel: TunnelTypeName | None
    tunnel_port: int
    mtu: int

    def requests(self, *, at_boot: bool = True) -> tuple[PreparationRequest, ...]:
        """Return what is asked for, one request per virtual address.

        Args:
            at_boot: whether it is to be brought back after a reboot.

        Raises:
            typer.BadParameter: something is no address or port, an encapsulation without a tunnel, or options
                without an address.
        """
        from kernelbal.realserver.resolve import PreparationRequest

        options = (self.forwarding, self.method, self.interface, self.real, self.port, self.tunnel, self.mtu)
        if not self.virtual and any(options):
            raise typer.BadParameter("name the virtual address that the options are for", param_hint="VIP")
        method = self.method or Method.LOOPBACK
        tunnel, ports = self._tunnel(), self.ports()
        return tuple(
            PreparationRequest(
                virtual,
                method,
                tunnel,
                tuple(self.interface or ()),
                self._real(virtual),
                ports,
                self.mtu,
                at_boot,
            )
            for virtual in [address(text, "VIP") for text in self.virtual or ()]
        )

    def over(self, one: Preparation) -> Preparation:
        """Return a preparation with what was typed in place of what it has.

        Raises:
            typer.BadParameter: something is no address or port, or an encapsulation without a tunnel.
        """
        named = tuple(self.interface or one.interfaces)
        return replace(
            one,
            method=self.method or one.method,
            tunnel=self._tunnel(one.tunnel),
            interfaces=one.interfaces if set(named) == set(one.interfaces) else named,
            real=self._real(one.virtual) or one.real,
            ports=self.ports() or one.ports,
            mtu_bytes=self.mtu or one.mtu_bytes,
        )

    def ports(self) -> tuple[PortMap, ...]:
        """Return the ports that were named.

        Raises:
            typer.BadParameter: something is no port.
        """
        return tuple(port for text in self.port or () for port in _ports(text))

    def _real(self, virtual: Address) -> Address | None:
        """With addresses of both families, --real is for those of its own; a tunnel takes it for all."""
        real = address(self.real, "--real") if self.real else None
        for_all = len(self.virtual or ()) == 1 or self.forwarding is ForwardingName.TUNNEL
        return real if real is None or for_all or len(real) == len(virtual) else None

    def _tunnel(self, known: Encapsulation | None = None) -> Encapsulation | None:
        """What was not typed is as it is known; where nothing is, dsr, and ipip for a tunnel."""
        from kernelbal.model.ipvs import TunnelType
        from kernelbal.realserver.preparation import Encapsulation

        typed = "--tunnel" if self.tunnel else "--tunnel-port" if self.tunnel_port else ""
        if typed and self.forwarding is not ForwardingName.TUNNEL:
            raise typer.BadParameter("it is for tunnels only: add --forwarding tunnel", param_hint=typed)
        if self.forwarding is not ForwardingName.TUNNEL:
            return known if self.forwarding is None else None
        default = known or Encapsulation(TunnelType.IPIP)
        kind = self.tunnel.number if self.tunnel else default.kind
        return Encapsulation(kind, self.tunnel_port or (default.port if kind is default.kind else 0))


def address(text: str, hint: str) -> Address:
    """Return an address that was typed.

    Raises:
        typer.BadParameter: it is none.
    """
    from kernelbal.model.address import parse_address

    try:
        return parse_address(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from error


def _ports(text: str) -> tuple[PortMap, ...]:
    from kernelbal.realserver.preparation import parse_ports

    try:
        return parse_ports(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--port") from error
