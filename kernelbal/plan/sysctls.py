"""The sysctls of a director, each with its reason (kernel `Documentation/networking/ipvs-sysctl.rst`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kernelbal.model.address import AF_INET, AF_INET6
from kernelbal.model.network import Sysctl

VS_PREFIX = "net/ipv4/vs/"


class IpvsSysctl(NamedTuple):
    """A sysctl of `net.ipv4.vs`.

    Attributes:
        default: what the kernel starts with.
        recommended: what kernelbal writes; None leaves the kernel's value alone.
        reason: why it is written, or when to.
    """

    name: str
    default: str
    recommended: str | None
    reason: str


IPVS_SYSCTLS: tuple[IpvsSysctl, ...] = (
    IpvsSysctl("am_droprate", "10", None, "Rate of `drop_packet` mode 3; only under attack."),
    IpvsSysctl("amemthresh", "1024", None, "Free pages below which automatic defence starts."),
    IpvsSysctl(
        "backup_only", "0", None, "Set to 1 where a backup director is also a real server (dsr, tunnel)."
    ),
    IpvsSysctl("cache_bypass", "0", None, "Only for transparent caches."),
    IpvsSysctl(
        "conn_reuse_mode",
        "1",
        "1",
        "A client that reuses a port is scheduled anew, not pinned to a dead server.",
    ),
    IpvsSysctl(
        "conntrack", "0", None, "Set to 1 by one-armed services alone: connection tracking costs each packet."
    ),
    IpvsSysctl(
        "drop_entry", "0", None, "Random dropping of entries; 1 lets the kernel decide under memory pressure."
    ),
    IpvsSysctl(
        "drop_packet",
        "0",
        None,
        "Random dropping of packets; 1 lets the kernel decide under memory pressure.",
    ),
    IpvsSysctl("est_cpulist", "", None, "CPUs of the rate estimators; only when they disturb forwarding."),
    IpvsSysctl("est_nice", "0", None, "Priority of the rate estimators."),
    IpvsSysctl(
        "expire_nodest_conn",
        "0",
        "1",
        "Flows to a removed real server end at once instead of vanishing in silence.",
    ),
    IpvsSysctl(
        "expire_quiescent_template", "0", "1", "Persistence must not feed a real server of weight 0 for ever."
    ),
    IpvsSysctl("ignore_tunneled", "0", None, "Only where tunnelled packets loop through the director."),
    IpvsSysctl("nat_icmp_send", "0", None, "ICMP errors for NAT packets without a connection."),
    IpvsSysctl("pmtu_disc", "1", None, "0 lets tunnels fragment instead of reporting the path MTU."),
    IpvsSysctl("run_estimation", "1", None, "0 saves CPU and blanks every rate."),
    IpvsSysctl("schedule_icmp", "0", None, "Lets ICMP create connections."),
    IpvsSysctl("secure_tcp", "0", None, "Shorter TCP states; 1 lets the kernel decide under attack."),
    IpvsSysctl(
        "sloppy_sctp", "0", None, "Accept SCTP flows in mid-stream; with `mh` and no connection sync."
    ),
    IpvsSysctl("sloppy_tcp", "0", None, "Accept TCP flows in mid-stream; with `mh` and no connection sync."),
    IpvsSysctl("snat_reroute", "1", "1", "Replies of NAT services follow policy routes."),
    IpvsSysctl("sync_persist_mode", "0", None, "1 synchronises persistence templates only."),
    IpvsSysctl("sync_ports", "1", None, "Threads and ports of connection sync."),
    IpvsSysctl("sync_qlen_max", "", None, "Queue of connection sync; the kernel sizes it from memory."),
    IpvsSysctl("sync_refresh_period", "0", None, "Seconds between sync messages of a busy connection."),
    IpvsSysctl("sync_retries", "0", None, "Repeated sync messages."),
    IpvsSysctl("sync_sock_size", "0", None, "Socket buffer of connection sync."),
    IpvsSysctl(
        "sync_threshold", "3 50", None, "Packet at which a connection is synchronised, and then how often."
    ),
    IpvsSysctl("sync_version", "1", None, "Protocol of connection sync."),
)
"""Every `net.ipv4.vs` sysctl that a site file may name; kernels lack some of them."""

FORWARDING = {
    AF_INET: Sysctl("net/ipv4/ip_forward", "1", "The director routes replies of NAT services."),
    AF_INET6: Sysctl(
        "net/ipv6/conf/all/forwarding", "1", "The director routes replies of IPv6 NAT services."
    ),
}
"""What a site with NAT services needs, by their family: an IPv6 router no longer takes routes from others."""

EDGE_FORWARDING = {
    AF_INET: Sysctl("net/ipv4/ip_forward", "1", "The director routes what it translates at the edge."),
    AF_INET6: Sysctl(
        "net/ipv6/conf/all/forwarding", "1", "The director routes what it translates at the edge."
    ),
}
"""What a router host needs, by family of what it translates."""


def kept_routes(devices: frozenset[str]) -> tuple[Sysctl, ...]:
    """Return what lets a router keep the IPv6 default routes that it has learned from router advertisements.

    The kernel forgets them when forwarding is switched on (`rt6_purge_dflt_routers`), unless this is 2.
    """
    reason = "The default route of this device comes from router advertisements, which a router would ignore."
    return tuple(
        Sysctl(f"net/ipv6/conf/{device}/accept_ra", "2", reason, optional=True, routed_by=device)
        for device in sorted(devices)
    )


EDGE_IDLE_S = 7440
"""How long a translator remembers an idle TCP connection, at least: 2 hours 4 minutes (RFC 5382, REQ-5)."""
IDLE_S = 900
"""How long connection tracking remembers an idle TCP connection, at least."""


def connection_tracking(tcp_s: int, *, edge: bool = False) -> tuple[Sysctl, ...]:
    """Return what a one-armed service needs.

    Args:
        tcp_s: how long IPVS remembers an idle TCP connection. Connection tracking must not forget it earlier:
            it would choose another port for the rest of the connection.
        edge: whether it tracks connections of other machines, too, which IPVS knows nothing of.
    """
    return (
        Sysctl(
            f"{VS_PREFIX}conntrack",
            "1",
            "One-armed services are masqueraded, which needs connection tracking.",
        ),
        Sysctl(
            "net/netfilter/nf_conntrack_tcp_timeout_established",
            str(max(EDGE_IDLE_S if edge else IDLE_S, tcp_s)),
            "The default of five days fills the connection tracking table; as long as IPVS is enough.",
            optional=True,
        ),
    )


def no_redirects(devices: frozenset[str]) -> tuple[Sysctl, ...]:
    """Return the sysctls that keep the director from telling hosts on one segment to bypass it.

    The effective value is the logical or of `all` and the device, so both are written.
    """
    reason = "An ICMP redirect would send real servers and clients on one segment past the director."
    names = ("all", *sorted(devices))
    return tuple(Sysctl(f"net/ipv4/conf/{name}/send_redirects", "0", reason) for name in names)


def path_check_sysctls(devices: frozenset[str], apart: frozenset[str]) -> tuple[Sysctl, ...]:
    """Return what the answers to probes through IPv4 virtual addresses need; those of IPv6 need nothing.

    `accept_local` is the logical or of `all` and the device, `rp_filter` the greater of the two.

    Args:
        devices: those that lead to the real servers.
        apart: those of them that do not lead to the virtual addresses.
    """
    accept = "Real servers answer probes from the virtual address, which this director may hold itself."
    loosen = "Answers from a virtual address come by a device that does not lead there; 1 would drop them."
    return (
        *(Sysctl(f"net/ipv4/conf/{name}/accept_local", "1", accept) for name in sorted(devices)),
        *(
            Sysctl(
                f"net/ipv4/conf/{name}/rp_filter",
                "2",
                loosen,
                replaces="1",
                beside="net/ipv4/conf/all/rp_filter",
            )
            for name in sorted(apart)
        ),
    )


def ipvs_sysctls(overrides: Mapping[str, int | str]) -> tuple[Sysctl, ...]:
    """Return the `net.ipv4.vs` values to write: the recommended ones, replaced or extended by `overrides`."""
    wanted = {s.name: (s.recommended, s.reason) for s in IPVS_SYSCTLS if s.recommended is not None}
    wanted.update({name: (str(value), "Set in the site file.") for name, value in overrides.items()})
    return tuple(
        Sysctl(f"{VS_PREFIX}{name}", value, reason, optional=name not in overrides)
        for name, (value, reason) in sorted(wanted.items())
    )
