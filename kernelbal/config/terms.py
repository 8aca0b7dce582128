"""The words of other load balancers, one row each: system, word, place, our setting, converter.

Sources: keepalived.conf(5), ipvsadm(8), ldirectord(8), HAProxy's configuration manual, and the LoadMaster's
RESTful API. Importers read these rows, and so do the hints for a refused document.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from pydantic import BaseModel

from kernelbal.config.converters import (
    ADDRESS,
    ENDPOINT,
    LINE,
    MILLISECONDS,
    PERSISTENCE,
    PORTS,
    PREFIX,
    RETRIES,
    SECONDS,
    SHARED,
    STATUSES,
    TIMEOUTS,
    URL_PATH,
    WHOLE,
    Converter,
    as_key,
    block,
    choice,
    entry,
    switch,
)
from kernelbal.config.wording import setting_at
from kernelbal.model.node import Node
from kernelbal.model.site import KernelSettings, Network, Site, TimeoutSettings
from kernelbal.model.site.check import Check, TlsSettings, UdpCheck
from kernelbal.model.site.services import RealServer, VirtualService


class OtherSystem(Enum):
    """Whose word it is."""

    KEEPALIVED = "keepalived"
    """ipvsadm too, which has the same words where it has the setting."""
    LDIRECTORD = "ldirectord"
    HAPROXY = "HAProxy"
    LOADMASTER = "LoadMaster"
    COMMON = "others"
    """Words of several systems, and of people who do not remember whose."""


class Term(NamedTuple):
    """One word of one system.

    Attributes:
        word: without differences of spelling, as `converters.folded` returns it.
        place: the model in whose mapping the word stands.
        path: keys from there to our setting.
    """

    system: OtherSystem
    word: str
    place: type[BaseModel]
    path: tuple[str, ...]
    converter: Converter

    def below(self, model: type[BaseModel]) -> tuple[str, ...]:
        """Return the keys from a model on the way to our setting; empty where it is not on the way."""
        for depth in range(len(self.path)):
            on_the_way = setting_at(self.place, self.path[:depth]).model
            if on_the_way is not None and issubclass(model, on_the_way):
                return self.path[depth:]
        return ()


SCHEDULER = choice(
    {
        "wlc": "weighted_least_connection weighted_least_connections leastconn",
        "rr": "round_robin",
        "wrr": "weighted_round_robin roundrobin static_rr",
        "lc": "least_connection least_connections",
        "sh": "source source_hash source_ip_hash",
        "mh": "maglev",
        "fo": "weighted_failover fixed fixed_weighting",
        "ovf": "weighted_overflow",
        "dh": "destination_hash",
        "sed": "shortest_expected_delay",
        "nq": "never_queue",
        "lblc": "locality_based_least_connection",
        "lblcr": "",
    },
    {
        "adaptive sdn_adaptive": "write `scheduler: wlc` and `adaptive: {http_agent: {}}`",
        "dl weighted_response_time": "write `scheduler: wlc` and `adaptive: {response_time: {}}`",
        "uhash uri url_param hdr rdp_cookie": "IPVS balances connections, not requests",
        "first random leastload": "IPVS has no such scheduler; `wlc` is the usual one",
    },
)
FORWARDING = choice(
    {
        "nat": "masq masquerade masquerading m",
        "dsr": "dr direct direct_routing route gate gatewaying g",
        "tunnel": "tun tunneling ipip i",
    },
    {"bypass": "IPVS uses it for its own cache only"},
)
PERSIST = choice(
    {"source_ip": "src source"},
    {
        "none": "leave it out: there is no persistence unless it is written",
        "udpsip": "write `persistence_engine: sip` and `persistence`",
        "ssl cookie active_cookie cookie_src active_cook_src cookie_hash cookie_hash_src url query_hash host"
        " header super super_src rdp rdp_src rdp_sb rdp_sb_src": "IPVS knows addresses, not requests",
    },
)
PROTOCOL = choice({"tcp": "", "udp": "", "sctp": ""})
ON_DOWN = choice({"quiesce": "inhibit quiescent yes true on", "remove": "delete no false off"})
ROLE = choice({"first": "master primary", "second": "backup secondary"})
CHECK_KIND = choice(
    {
        **dict.fromkeys(
            ("http", "https", "smtp", "imap", "pop3", "ldap", "ftp", "ssh", "rdp", "dns", "udp"), ""
        ),
        "tcp": "connect",
        "icmp": "ping",
        "none": "off on",
    },
    {
        "external external_perl": "write `check: {script: {argv: [/full/path]}}`",
        "radius": "write `check: {radius: {secret: ...}}`",
        "nntp telnet sip mysql pgsql oracle submission bdata": "write `check: tcp`, or a script",
    },
)
NOTIFY = block([{"webhook": "https://example.net/"}])
SERVERS = block([{"address": "10.0.0.11"}])
SERVICES = block([{"name": "web", "address": "192.0.2.10", "ports": 80, "forwarding": "nat"}])
SCRIPT = block({"argv": ["/full/path"]})


_WORDS: dict[OtherSystem, dict[type[BaseModel], dict[str, tuple[str, Converter]]]] = {
    OtherSystem.KEEPALIVED: {
        Site: {"virtual_server": ("virtual_services", SERVICES)},
        KernelSettings: {"lvs_timeouts": ("timeouts", TIMEOUTS)},
        TimeoutSettings: {"tcpfin": ("tcp_fin", SECONDS)},
        Network: {"virtual_ipaddress": ("shared_addresses", SHARED)},
        Node: {
            "interface": ("interfaces", entry("outside", "eth0")),
            "state": ("role", ROLE),
        },
        VirtualService: {
            "lb_algo lvs_sched": ("scheduler", SCHEDULER),
            "lb_kind lvs_method packet_forwarding_method": ("forwarding", FORWARDING),
            "persistence_timeout": ("persistence.source_ip.timeout", PERSISTENCE),
            "persistence_granularity": ("persistence.source_ip.prefix", PREFIX),
            "pe persistence_engine_name": ("persistence_engine", choice({"sip": ""})),
            "ops": ("one_packet", switch(on=True)),
            "sh_port": ("scheduler_flags", switch(["sh-port"])),
            "sh_fallback": ("scheduler_flags", switch(["sh-fallback"])),
            "mh_port": ("scheduler_flags", switch(["mh-port"])),
            "mh_fallback": ("scheduler_flags", switch(["mh-fallback"])),
            "flag_1 flag_2": ("scheduler_flags", block(["sh-port"])),
            "real_server": ("real_servers", SERVERS),
            "fwmark": ("mark", WHOLE),
            "inhibit_on_failure": ("on_down", switch("quiesce")),
            "tunnel_type tun_type": ("tunnel.type", choice({"ipip": "", "gue": "", "gre": ""})),
            "tunnel_port tun_port": ("tunnel.port", Converter(WHOLE.convert, 6080)),
            "delay_loop": ("check.interval", SECONDS),
            "connect_timeout": ("check.timeout", SECONDS),
            "retry nb_get_retry": ("check.fall", RETRIES),
            "connect_port": ("check.port", Converter(WHOLE.convert, 8080)),
            "connect_ip": ("check.address", ADDRESS),
            "bindto": ("check.source", ADDRESS),
            "http_get": ("check.http", block({"path": "/health"})),
            "ssl_get": ("check.https", block({"path": "/health"})),
            "tcp_check": ("check.tcp", block({})),
            "smtp_check": ("check.smtp", block({})),
            "dns_check": ("check.dns", block({"query": "example.net", "type": "A"})),
            "ping_check": ("check.icmp", block({})),
            "udp_check": ("check.udp", block({"send": "ping", "expect": "pong"})),
            "misc_check misc_path": ("check.script", SCRIPT),
            "virtualhost": ("check.http.host", LINE),
            "status_code": ("check.http.expect", STATUSES),
        },
        Check: {"fwmark": ("mark", WHOLE)},
        TlsSettings: {"enable_sni": ("server_name", LINE)},
        RealServer: {
            "uthreshold u_threshold": ("upper_threshold", WHOLE),
            "lthreshold l_threshold": ("lower_threshold", WHOLE),
        },
    },
    OtherSystem.LDIRECTORD: {
        VirtualService: {
            "real": ("real_servers", SERVERS),
            "fallback": ("sorry_server", ENDPOINT),
            "persistent": ("persistence.source_ip.timeout", PERSISTENCE),
            "netmask": ("persistence.source_ip.prefix", PREFIX),
            "quiescent": ("on_down", ON_DOWN),
            "checkinterval": ("check.interval", SECONDS),
            "checktimeout negotiatetimeout": ("check.timeout", SECONDS),
            "failurecount": ("check.fall", WHOLE),
            "checkport": ("check.port", Converter(WHOLE.convert, 8080)),
            "checktype service": ("check", CHECK_KIND),
            "checkcommand external": ("check.script", SCRIPT),
            "request": ("check.http.path", URL_PATH),
            "receive": ("check.http.matches", Converter(LINE.convert, "OK")),
        },
    },
    OtherSystem.HAPROXY: {
        VirtualService: {
            "balance": ("scheduler", SCHEDULER),
            "backends server": ("real_servers", SERVERS),
            "inter": ("check.interval", MILLISECONDS),
            "rise": ("check.rise", WHOLE),
            "fall": ("check.fall", WHOLE),
            "httpchk": ("check.http.path", URL_PATH),
            "sni check_sni": ("check.https.server_name", LINE),
            "slowstart": ("slow_start", MILLISECONDS),
            "agent_check": ("adaptive", block({"text_agent": {"port": 9999}})),
            "agent_port": ("adaptive.text_agent.port", Converter(WHOLE.convert, 9999)),
            "agent_inter": ("adaptive.interval", MILLISECONDS),
            "agent_send": ("adaptive.text_agent.send", LINE),
        },
        TlsSettings: {"sni": ("server_name", LINE)},
        RealServer: {"maxconn": ("upper_threshold", WHOLE)},
    },
    OtherSystem.LOADMASTER: {
        VirtualService: {
            "vsaddress": ("address", ADDRESS),
            "vsport": ("ports", PORTS),
            "prot": ("protocol", PROTOCOL),
            "nickname": ("name", Converter(LINE.convert, "web")),
            "schedule": ("scheduler", SCHEDULER),
            "persist": ("persistence", as_key(PERSIST)),
            "persisttimeout": ("persistence.source_ip.timeout", PERSISTENCE),
            "standbyaddr": ("sorry_server.address", ADDRESS),
            "standbyport": ("sorry_server.port", PORTS),
            "rsminimum": ("quorum", WHOLE),
            "checkurl": ("check.http.path", URL_PATH),
            "checkhost": ("check.http.host", LINE),
            "checkcodes": ("check.http.expect", STATUSES),
            "checkpattern": ("check.http.matches", Converter(LINE.convert, "OK")),
            "checktype": ("check", CHECK_KIND),
            "checkport": ("check.port", Converter(WHOLE.convert, 8080)),
            "chkinterval": ("check.interval", SECONDS),
            "chktimeout": ("check.timeout", SECONDS),
            "chkretrycount": ("check.fall", WHOLE),
        },
        RealServer: {
            "limit": ("upper_threshold", WHOLE),
            "rsport": ("port", PORTS),
        },
    },
    OtherSystem.COMMON: {
        Site: {"virtual_servers services": ("virtual_services", SERVICES)},
        Network: {"vips addresses": ("shared_addresses", SHARED)},
        Node: {
            "devices": ("interfaces", block({"outside": "eth0"})),
            "hooks notifications webhooks": ("notify", NOTIFY),
        },
        VirtualService: {
            "sched algorithm": ("scheduler", SCHEDULER),
            "forward forwardmethod method": ("forwarding", FORWARDING),
            "vip ip virtual_address virtual_ip host": ("address", ADDRESS),
            "port": ("ports", PORTS),
            "proto": ("protocol", PROTOCOL),
            "fwm": ("mark", WHOLE),
            "rs servers members": ("real_servers", SERVERS),
            "sorry": ("sorry_server", ENDPOINT),
            "sticky": ("persistence", block({"source_ip": {"timeout": "5m"}})),
            "health_check healthcheck checks health_checks monitor probe": ("check", CHECK_KIND),
            "interval": ("check.interval", SECONDS),
            "slow_start_time": ("slow_start", SECONDS),
        },
        Check: {
            "httpget": ("http", block({"path": "/health"})),
            "ssl": ("https", block({"path": "/health"})),
            "connect tcp_connect": ("tcp", block({})),
            "smtpchk": ("smtp", block({})),
            "ping": ("icmp", block({})),
            "ldap_check": ("ldap", block({})),
            "off": ("none", block({})),
            "command": ("script", SCRIPT),
            "failures retries": ("fall", WHOLE),
            "successes": ("rise", WHOLE),
            "source_address": ("source", ADDRESS),
            "url uri request_path": ("http.path", URL_PATH),
            "status statuses expect_status": ("http.expect", STATUSES),
            "regex regexp rstring": ("http.matches", Converter(LINE.convert, "OK")),
            "vhost": ("http.host", LINE),
            "headers checkheaders": ("http.headers", block({"X-Probe": "kernelbal"})),
        },
        UdpCheck: {
            "agent_send payload": ("send", LINE),
            "receive": ("expect", LINE),
        },
    },
}
"""By system, and by the model in whose mapping a word stands; the words of one setting stand together."""

TERMS: Final = tuple(
    Term(system, word, place, tuple(path.split(".")), converter)
    for system, places in _WORDS.items()
    for place, words in places.items()
    for synonyms, (path, converter) in words.items()
    for word in synonyms.split()
)
"""Every row."""

VALUES: dict[str, Converter] = {
    "scheduler": SCHEDULER,
    "forwarding": FORWARDING,
    "all_down": choice(
        {
            "refuse": "reject drop close",
            "keep": "accept ignore panic",
            "sorry": "fallback sorry_server",
            "withdraw": "",
        }
    ),
    "on_down": ON_DOWN,
    "persistence": as_key(PERSIST),
    "through": choice({"virtual": "vip", "real": "rip direct"}),
    "encryption": choice({"implicit": "ssl tls smtps", "starttls": "start_tls", "none": ""}),
    "role": ROLE,
}
"""Foreign values of settings that have the same name elsewhere, or none: by our key."""
