"""Reads everything that a verification judges, and asks what can only be outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Final

from kernelbal.errors import NotSupported
from kernelbal.kernel.bound_sockets import read_bound_sockets
from kernelbal.kernel.interface import Kernel
from kernelbal.kernel.neighbour_table import read_neighbours
from kernelbal.kernel.nftables import Nftables
from kernelbal.kernel.routes import route_from, route_to
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.model.address import Address
from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.host import read_host, read_more
from kernelbal.realserver.preparation import Preparation
from kernelbal.realserver.setup import TABLES, HostState
from kernelbal.realserver.sysctls import conf
from kernelbal.realserver.verify.conversation import FAR_CLIENTS
from kernelbal.realserver.verify.evidence import HostEvidence, Path, Ruleset, Wires
from kernelbal.realserver.verify.wire import Prober

ADDRESSES6: Final = FilePath("/proc/thread-self/net/if_inet6")
_UNUSABLE: Final = ((0x08, "another host has it: duplicate address detection failed"), (0x40, "tentative"))
"""Flags of an address that say so (`IFA_F_DADFAILED`, `IFA_F_TENTATIVE` in `linux/if_addr.h`)."""
_LEGACY: Final = {
    "ip_tables_names": "iptables",
    "ip6_tables_names": "ip6tables",
    "arp_tables_names": "arptables",
}
_IPV4_CONF: Final = ("arp_ignore", "arp_announce", "rp_filter")


@dataclass(frozen=True, slots=True)
class Outside:
    """What an operator says about the world outside.

    Attributes:
        clients: by length of the address; where there is none, one stands for all far away.
        director: the director's own address, None where it was not named.
        probe: whether to send probes.
    """

    clients: tuple[Address, ...] = ()
    director: Address | None = None
    probe: bool = True


def gather(kernel: Kernel, preparations: Sequence[Preparation], outside: Outside) -> HostEvidence:
    """Read a host and ask it.

    Raises:
        KernelError: something cannot be read; that libnftables is missing is evidence and no error.
    """
    host = read_host(kernel)
    sysctls = sorted(_sysctls(preparations, host))
    needs_tables = bool(setup_for(preparations, host).tables)
    no_nftables = ""
    try:
        host = read_more(kernel, host, sysctls, tables=needs_tables)
    except NotSupported as error:
        no_nftables = f"{error.message} ({error.hint})"
        host = read_more(kernel, host, sysctls, tables=False)
    with RtNetlink.open() as rtnetlink:
        paths = {one.virtual: _path(rtnetlink, one, host, outside) for one in preparations}
        sockets = read_bound_sockets({port.to_port for one in preparations for port in one.ports})
        evidence = HostEvidence(
            host=host,
            no_nftables=no_nftables,
            sockets=sockets,
            unusable=read_unusable(),
            paths=paths,
            ruleset=read_ruleset(),
            director=outside.director,
        )
        if not outside.probe:
            return evidence
        wires = Prober(rtnetlink, host, sockets, paths, outside.director).ask(preparations)
        return replace(evidence, wires=wires, paths=_with_silence(rtnetlink, evidence, wires))


def _sysctls(preparations: Iterable[Preparation], host: HostState) -> set[str]:
    devices = ["all", *(link.name for link in host.links)]
    paths = {conf(device, name) for device in devices for name in _IPV4_CONF}
    paths |= {f"net/ipv6/conf/{device}/disable_ipv6" for device in devices}
    return paths | {path for each in setup_for(preparations, host).sysctls for path in each.needed}


def _path(rtnetlink: RtNetlink, one: Preparation, host: HostState, outside: Outside) -> Path:
    chosen = next((each for each in outside.clients if len(each) == len(one.virtual)), None)
    client = chosen or FAR_CLIENTS[len(one.virtual)]
    source = one.virtual if one.holds_address else one.own
    held = any(key.address == source for key, *_ in host.addresses)
    backwards = route_to(rtnetlink, client, host.links)
    reply = route_from(rtnetlink, source, client, host.links) if held else backwards
    return Path(client, reply, backwards, chosen is not None)


def _with_silence(rtnetlink: RtNetlink, evidence: HostEvidence, wires: Wires) -> dict[Address, Path]:
    """After the probes the neighbour table says whether somebody takes the replies.

    A question in the name of the virtual address was kept from the wire, so that nobody could answer it.
    """
    names = {link.ifindex: link.name for link in evidence.host.links}
    silent = {
        (names.get(each.ifindex, ""), each.address) for each in read_neighbours(rtnetlink) if each.silent
    }
    return {
        virtual: path._replace(
            unanswered=path.reply is not None
            and (path.reply.device, path.next_hop) in silent
            and not any(wire.named_sender for wire in wires[virtual])
        )
        for virtual, path in evidence.paths.items()
    }


def read_unusable(file: FilePath = ADDRESSES6) -> dict[Address, str]:
    """Return the IPv6 addresses that the kernel does not use, and why (`/proc/net/if_inet6`)."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}  # no IPv6
    found: dict[Address, str] = {}
    for line in lines:
        text, _, _, _, flags, _ = line.split()
        reason = next((reason for bit, reason in _UNUSABLE if int(flags, 16) & bit), "")
        if reason:
            found[Address(bytes.fromhex(text))] = reason
    return found


def read_ruleset(net: FilePath = ADDRESSES6.parent) -> Ruleset:
    """Return the rules of others; where they cannot be read, why.

    Raises:
        KernelError: only root may read them.
    """
    legacy = tuple(f"{program} {table}" for name, program in _LEGACY.items() for table in _words(net / name))
    try:
        objects = Nftables.open().ruleset()
    except NotSupported as error:
        return Ruleset(unreadable=f"{error.message} ({error.hint})", legacy=legacy)
    ours = {table.title for table in TABLES}
    return Ruleset(
        tuple(
            each
            for each in objects
            for body in each.values()
            if f"{body.get('family')} {body.get('table', body.get('name'))}" not in ours
        ),
        legacy=legacy,
    )


def _words(file: FilePath) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []
