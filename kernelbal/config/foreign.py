"""Names that other load balancers use, and how the same thing is written here.

Sources: keepalived.conf(5), ipvsadm(8), ldirectord(8), HAProxy's server options, and the LoadMaster's RESTful
API parameters.
"""

from __future__ import annotations

import re
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
    **dict.fromkeys(("delay_loop", "checkinterval", "inter", "interval"), "check: {interval: 9s}"),
    **dict.fromkeys(("connect_timeout", "checktimeout", "negotiatetimeout"), "check: {timeout: 4s}"),
    **dict.fromkeys(("retry", "nb_get_retry", "failurecount", "fall"), "check: {fall: 3}"),
    "rise": "check: {rise: 2}",
    **dict.fromkeys(("http_get", "httpchk", "checkurl", "request"), "check: {http: {path: /health}}"),
    "ssl_get": "check: {https: {path: /health}}",
    "tcp_check": "check: tcp",
    "smtp_check": "check: smtp",
    "dns_check": "check: dns",
    "ping_check": "check: icmp",
    "udp_check": "check: {udp: {send: ping, expect: pong}}",
    **dict.fromkeys(("misc_check", "external", "checkcommand"), "check: {script: {argv: [/full/path]}}"),
    **dict.fromkeys(("checktype", "service", "health_check", "healthcheck", "checks"), "check: http"),
    **dict.fromkeys(("health_checks", "monitor", "probe"), "check: http"),
    "checkport": "check: {port: 8080}",
    **dict.fromkeys(("slowstart", "slow_start_time", "warmup"), "slow_start: 30s"),
    **dict.fromkeys(("agent_check", "agent_port"), "adaptive: {text_agent: {port: 9999}}"),
    "inhibit_on_failure": "on_down: quiesce",
    "quiescent": "on_down: quiesce",
    **dict.fromkeys(("hooks", "notifications", "webhooks"), "notify: [{webhook: https://example.net/}]"),
}
"""Foreign key (lower case, `_` for `-`) and our way to write it."""

CHECK_KEYS: dict[str, str] = {
    **dict.fromkeys(("delay_loop", "checkinterval"), "interval: 9s"),
    "inter": "interval: 2000ms",
    **dict.fromkeys(("connect_timeout", "checktimeout", "negotiatetimeout"), "timeout: 4s"),
    **dict.fromkeys(("retry", "nb_get_retry", "failurecount", "failures", "retries"), "fall: 3"),
    "successes": "rise: 2",
    **dict.fromkeys(("http_get", "httpchk", "httpget"), "http: {path: /health}"),
    **dict.fromkeys(("ssl_get", "ssl"), "https: {path: /health}"),
    **dict.fromkeys(("tcp_check", "connect", "tcp_connect"), "tcp: {}"),
    **dict.fromkeys(("smtp_check", "smtpchk"), "smtp: {}"),
    "dns_check": "dns: {query: example.net, type: A}",
    **dict.fromkeys(("ping_check", "ping"), "icmp: {}"),
    "udp_check": "udp: {send: ping, expect: pong}",
    **dict.fromkeys(("misc_check", "misc_path", "external", "command"), "script: {argv: [/full/path]}"),
    "ldap_check": "ldap: {}",
    "off": "none: {}",
    **dict.fromkeys(("connect_port", "checkport"), "port: 8080"),
    **dict.fromkeys(("connect_ip", "checkaddress"), "address: 10.0.0.1"),
    **dict.fromkeys(("bindto", "source_address"), "source: 10.0.0.1"),
    **dict.fromkeys(("url", "uri", "checkurl", "request", "request_path"), "path: /health"),
    **dict.fromkeys(("status_code", "status", "statuses", "expect_status"), "expect: [200, 301]"),
    **dict.fromkeys(("regex", "regexp", "receive", "rstring"), "matches: OK"),
    **dict.fromkeys(("virtualhost", "vhost", "checkhost"), "host: www.example.net"),
    **dict.fromkeys(("sni", "enable_sni"), "server_name: www.example.net"),
    "checkheaders": "headers: {X-Probe: kernelbal}",
    "agent_send": "send: hello",
}
"""The same for what stands inside of a check; looked at where `KEYS` does not help."""

_UNITS = re.compile(r": [0-9]+(s|ms)$")
"""Unit of an example whose author writes bare numbers."""

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
    "all_down": {
        **dict.fromkeys(("reject", "drop", "close"), "refuse"),
        **dict.fromkeys(("accept", "ignore", "panic"), "keep"),
        **dict.fromkeys(("fallback", "sorry_server"), "sorry"),
    },
    "on_down": {"inhibit": "quiesce", "quiescent": "quiesce", "delete": "remove"},
    "through": {"vip": "virtual", "rip": "real", "direct": "real"},
    "encryption": {"ssl": "implicit", "tls": "implicit", "smtps": "implicit", "start_tls": "starttls"},
    "role": {"master": "first", "primary": "first", "backup": "second", "secondary": "second"},
}
"""By field: foreign value (lower case, `_` for `-`) and ours."""


def meant_key(key: str, known: Collection[str]) -> str | None:
    """Return which of the `known` keys a foreign key stands for, or None; a similar name is no such key."""
    way = _way(key, known)
    return way.partition(":")[0] if way else None


def _way(key: str, known: Collection[str]) -> str | None:
    """Return our way to write a foreign key, where one of the `known` keys is it."""
    ways = (table.get(_plain(key), "") for table in (KEYS, CHECK_KEYS))
    return next((way for way in ways if way.partition(":")[0] in known), None)


def key_hint(key: str, value: object, known: Collection[str]) -> str | None:
    """Return what to write instead of an unknown key and its value, or None when nothing is like it."""
    way = _way(key, known)
    if way is not None:
        return f"write `{_translated(way.partition(':')[0], way, value)}`"
    similar = get_close_matches(_plain(key), known, n=1, cutoff=_SIMILARITY)
    return f"did you mean `{similar[0]}`?" if similar else None


def _translated(field: str, example: str, value: object) -> str:
    """Put the author's own value into the example where it fits there."""
    if "{" in example or "[" in example or isinstance(value, bool) or not isinstance(value, str | int):
        return example
    unit = _UNITS.search(example)
    if unit and isinstance(value, int):
        return f"{field}: {value}{unit[1]}"
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
