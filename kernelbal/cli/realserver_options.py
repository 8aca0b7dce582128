"""How a preparation is described on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from kernelbal.model.address import Address
    from kernelbal.realserver.preparation import Encapsulation, PortMap
    from kernelbal.realserver.resolve import Request


class Forwarding(StrEnum):
    """Forwarding methods that a real server must be prepared for."""

    DSR = "dsr"
    TUNNEL = "tunnel"


class MethodName(StrEnum):
    """How the virtual address is accepted."""

    LOOPBACK = "loopback"
    ARP = "arp"
    REDIRECT = "redirect"


class TunnelName(StrEnum):
    """Encapsulations, in the words of the site file."""

    IPIP = "ipip"
    GRE = "gre"
    GUE = "gue"


class PersistName(StrEnum):
    """Who brings it back at boot."""

    AUTO = "auto"
    NETWORKD = "networkd"
    NETWORKMANAGER = "networkmanager"
    IFUPDOWN = "ifupdown"
    UNIT = "unit"
    NONE = "none"


VIRTUAL_ARGUMENT = typer.Argument(
    None, metavar="[VIP]...", help="Addresses of virtual services, IPv4 and IPv6."
)
FORWARDING_OPTION = typer.Option(
    Forwarding.DSR, "--forwarding", help="Forwarding method of the virtual service."
)
METHOD_OPTION = typer.Option(
    MethodName.LOOPBACK,
    "--method",
    help="`loopback`: address on lo, ARP silenced by sysctls; `arp`: by nftables; `redirect`: no address, "
    "nftables leads packets to the host's own.",
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
TUNNEL_OPTION = typer.Option(TunnelName.IPIP, "--tunnel", help="Encapsulation of --forwarding tunnel.")
TUNNEL_PORT_OPTION = typer.Option(0, "--tunnel-port", help="UDP port of --tunnel gue.", show_default=False)
MTU_OPTION = typer.Option(
    0, "--mtu", help="MTU of the path from the director; the interface's by default.", show_default=False
)
PERSIST_OPTION = typer.Option(
    PersistName.AUTO, "--persist", help="Who brings it back at boot; `none`: nobody."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `plan` and `apply` as they were typed."""

    virtual: list[str] | None
    forwarding: Forwarding
    method: MethodName
    interface: list[str] | None
    real: str
    port: list[str] | None
    tunnel: TunnelName
    tunnel_port: int
    mtu: int

    def requests(self, *, at_boot: bool = True) -> tuple[Request, ...]:
        """Return what is asked for, one request per virtual address.

        Args:
            at_boot: whether it is to be brought back after a reboot.

        Raises:
            typer.BadParameter: something is no address or port.
        """
        from kernelbal.realserver.preparation import Method
        from kernelbal.realserver.resolve import Request

        real = address(self.real, "--real") if self.real else None
        ports = self.ports()
        return tuple(
            Request(
                address(text, "VIP"),
                Method(self.method.value),
                self._tunnel(),
                tuple(self.interface or ()),
                real if real is None or self._fits(real, text) else None,
                ports,
                self.mtu,
                at_boot,
            )
            for text in self.virtual or ()
        )

    def ports(self) -> tuple[PortMap, ...]:
        """Return the ports that were named.

        Raises:
            typer.BadParameter: something is no port.
        """
        return tuple(port for text in self.port or () for port in _ports(text))

    def _fits(self, real: Address, virtual: str) -> bool:
        """With addresses of both families, --real is for those of its own; a tunnel takes it for all."""
        alone = len(self.virtual or ()) == 1 or self.forwarding is Forwarding.TUNNEL
        return alone or len(real) == len(address(virtual, "VIP"))

    def _tunnel(self) -> Encapsulation | None:
        from kernelbal.model.ipvs import TunnelType
        from kernelbal.realserver.preparation import Encapsulation

        if self.forwarding is Forwarding.DSR:
            return None
        return Encapsulation(TunnelType[self.tunnel.name], self.tunnel_port)


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
