"""Names that other load balancers use, and how the same thing is written here.

Sources: keepalived.conf(5), ipvsadm(8), ldirectord(8), and the LoadMaster's RESTful API parameters.
"""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from kernelbal.config.finding import shown

_SIMILARITY = 0.6

KEYS: dict[str, str] = {
    "lb_algo": "scheduler: wlc",
    "lvs_sched": "scheduler: wlc",
    "sched": "scheduler: wlc",
    "schedule": "scheduler: wlc",
    "algorithm": "scheduler: wlc",
    "balance": "scheduler: wlc",
    "lb_kind": "forwarding: nat",
    "lvs_method": "forwarding: nat",
    "forward": "forwarding: nat",
    "forwardmethod": "forwarding: nat",
    "packet_forwarding_method": "forwarding: nat",
    "method": "forwarding: nat",
    "vip": "address: 192.0.2.10",
    "ip": "address: 192.0.2.10",
    "virtual_address": "address: 192.0.2.10",
    "virtual_ip": "address: 192.0.2.10",
    "vsaddress": "address: 192.0.2.10",
    "host": "address: 192.0.2.10",
    "port": "ports: 80",
    "vsport": "ports: 80",
    "prot": "protocol: tcp",
    "proto": "protocol: tcp",
    "nickname": "name: web",
    "fwmark": "mark: 1",
    "fwm": "mark: 1",
    "virtual_server": "virtual_services: [...]",
    "virtual_servers": "virtual_services: [...]",
    "services": "virtual_services: [...]",
    "real_server": "real_servers: [...]",
    "real": "real_servers: [...]",
    "rs": "real_servers: [...]",
    "servers": "real_servers: [...]",
    "backends": "real_servers: [...]",
    "members": "real_servers: [...]",
    "sorry": "sorry_server: {address: 10.0.0.99}",
    "fallback": "sorry_server: {address: 10.0.0.99}",
    "standbyaddr": "sorry_server: {address: 10.0.0.99}",
    "persist": "persistence: {source_ip: {timeout: 5m}}",
    "persistent": "persistence: {source_ip: {timeout: 5m}}",
    "persistence_timeout": "persistence: {source_ip: {timeout: 5m}}",
    "persisttimeout": "persistence: {source_ip: {timeout: 5m}}",
    "persistence_granularity": "persistence: {source_ip: {prefix: 24}}",
    "netmask": "persistence: {source_ip: {prefix: 24}}",
    "sticky": "persistence: {source_ip: {timeout: 5m}}",
    "pe": "persistence_engine: sip",
    "ops": "one_packet: true",
    "uthreshold": "upper_threshold: 1000",
    "u_threshold": "upper_threshold: 1000",
    "maxconn": "upper_threshold: 1000",
    "limit": "upper_threshold: 1000",
    "lthreshold": "lower_threshold: 750",
    "l_threshold": "lower_threshold: 750",
    "sh_port": "scheduler_flags: [sh-port]",
    "sh_fallback": "scheduler_flags: [sh-fallback]",
    "mh_port": "scheduler_flags: [mh-port]",
    "mh_fallback": "scheduler_flags: [mh-fallback]",
    "flag_1": "scheduler_flags: [...]",
    "flag_2": "scheduler_flags: [...]",
    "tunnel_type": "tunnel: {type: gue}",
    "tun_type": "tunnel: {type: gue}",
    "tunnel_port": "tunnel: {port: 6080}",
    "tun_port": "tunnel: {port: 6080}",
    "virtual_ipaddress": "shared_addresses: [192.0.2.1/24]",
    "vips": "shared_addresses: [192.0.2.1/24]",
    "addresses": "shared_addresses: [192.0.2.1/24]",
    "lvs_timeouts": "timeouts: {tcp: 15m, tcp_fin: 2m, udp: 5m}",
    "tcpfin": "tcp_fin: 2m",
    "interface": "interfaces: {outside: eth0}",
    "devices": "interfaces: {outside: eth0}",
    "state": "role: first",
}
"""Foreign key (lower case, `_` for `-`) and our way to write it."""

_FORWARDING = {
    **dict.fromkeys(("dr", "direct", "direct_routing", "route", "gate", "gatewaying", "g"), "dsr"),
    "nat": "nat",
    **dict.fromkeys(("masq", "masquerade", "masquerading", "m"), "nat"),
    **dict.fromkeys(("tun", "tunnel", "tunneling", "ipip", "i"), "tunnel"),
}

VALUES: dict[str, dict[str, str]] = {
    "forwarding": _FORWARDING,
    "scheduler": {
        "round_robin": "rr",
        "roundrobin": "rr",
        "weighted_round_robin": "wrr",
        "least_connection": "lc",
        "leastconn": "lc",
        "least_connections": "lc",
        "weighted_least_connection": "wlc",
        "weighted_least_connections": "wlc",
        "source": "sh",
        "source_hash": "sh",
        "maglev": "mh",
        "weighted_overflow": "ovf",
        "weighted_failover": "fo",
        "fixed": "fo",
    },
    "role": {"master": "first", "primary": "first", "backup": "second", "secondary": "second"},
}
"""By field: foreign value (lower case, `_` for `-`) and ours."""


def meant_key(key: str, known: Collection[str]) -> str | None:
    """Return which of the `known` keys a foreign key stands for, or None; a similar name is no such key."""
    written = KEYS.get(_plain(key), "").partition(":")[0]
    return written if written in known else None


def key_hint(key: str, value: object, known: Collection[str]) -> str | None:
    """Return what to write instead of an unknown key and its value, or None when nothing is like it."""
    meant = meant_key(key, known)
    if meant is not None:
        return f"write `{_translated(meant, KEYS[_plain(key)], value)}`"
    similar = get_close_matches(_plain(key), known, n=1, cutoff=_SIMILARITY)
    return f"did you mean `{similar[0]}`?" if similar else None


def _translated(field: str, example: str, value: object) -> str:
    """Put the author's own value into the example where it fits there."""
    if "{" in example or "[" in example or isinstance(value, bool) or not isinstance(value, str | int):
        return example
    ours = VALUES.get(field, {}).get(_plain(str(value)), str(value))
    return f"{field}: {shown(ours)}"


def value_hint(field: str, value: str, known: Collection[str]) -> str | None:
    """Return what to write instead of an unknown value, or None when nothing is like it."""
    plain = _plain(value)
    ours = VALUES.get(field, {}).get(plain)
    if ours is None and plain.replace("_", "-") in known:
        ours = plain.replace("_", "-")
    if ours in known:
        return f"write `{ours}`"
    similar = get_close_matches(plain.replace("_", "-"), known, n=1, cutoff=_SIMILARITY)
    return f"did you mean `{similar[0]}`?" if similar else None


def _plain(text: str) -> str:
    """Fold spelling; the length is bounded, because comparing long texts takes long."""
    return text[:64].lower().replace("-", "_").replace(" ", "_")
