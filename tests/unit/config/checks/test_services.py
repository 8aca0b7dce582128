"""Settings of one virtual service that do not fit together."""

import pytest

from kernelbal.config.load import load_site
from tests.unit.config.spec import DSR, FILE, TUNNEL, UDP, V6, Case, messages, one, service, text_of

CASES: dict[str, Case] = {
    "prefix of IPv6 length for IPv4": one(
        "persistence.source_ip.prefix: prefix 33 for IPv4 clients", "persistence: {source_ip: {prefix: 33}}"
    ),
    "persistence below a second": one(
        "persistence.source_ip.timeout: a persistence timeout of 1500ms",
        "persistence: {source_ip: {timeout: 1.5s}}",
    ),
    "persistence of no length": one(
        "persistence.source_ip.timeout: a persistence timeout of 0s",
        "persistence: {source_ip: {timeout: 0s}}",
    ),
    "persistence beyond 31 days": one(
        "persistence.source_ip.timeout: a persistence timeout of 32d",
        "persistence: {source_ip: {timeout: 32d}}",
    ),
    "sip needs udp": one(
        "persistence_engine: persistence engine `sip` with protocol tcp",
        "persistence_engine: sip, persistence: {source_ip: {}}",
    ),
    "sip needs persistence": one(
        "persistence_engine: persistence engine `sip` without persistence", "persistence_engine: sip", **UDP
    ),
    "flag of another scheduler": one(
        "scheduler_flags[1]: `mh-port` with scheduler `sh`",
        "scheduler: sh, scheduler_flags: [sh-port, mh-port]",
    ),
    "flag twice": one(
        "scheduler_flags[1]: `sh-port` twice", "scheduler: sh, scheduler_flags: [sh-port, sh-port]"
    ),
    "one packet of tcp": one(
        "one_packet: one-packet scheduling with protocol tcp", "one_packet: true", **DSR
    ),
    "one-armed dsr": one("one_armed: one-armed with forwarding `dsr`", "one_armed: true", **DSR),
    "tunnel without tunnel": one("tunnel: a tunnel with forwarding `nat`", "tunnel: {type: gre}"),
    "gue without port": one("tunnel.port: a gue tunnel without port", "tunnel: {type: gue}", **TUNNEL),
    "port without gue": one(
        "tunnel.port: a port for tunnel type `gre`", "tunnel: {type: gre, port: 6080}", **TUNNEL
    ),
    "checksum of ipip": one(
        "tunnel.checksum: checksum `full` with tunnel type `ipip`", "tunnel: {checksum: full}", **TUNNEL
    ),
    "remote checksum of gre": one(
        "tunnel.checksum: checksum `remote` with tunnel type `gre`",
        "tunnel: {type: gre, checksum: remote}",
        **TUNNEL,
    ),
    "port twice": one("ports[2]: port 443 is in `443` too", ports="[80, 443, 443]"),
    "port inside of a range": one("ports[0]: port 8005 is in `8000-8010` too", ports="[8005, 8000-8010]"),
    "two ports inside of a range": Case(
        service(base={"ports": "[8000-8010, 8001, 8005]"}),
        (
            "virtual_services[0].ports[1]: virtual service `web`: port 8001 is in `8000-8010` too",
            "virtual_services[0].ports[2]: virtual service `web`: port 8005 is in `8000-8010` too",
        ),
    ),
    "unknown network": Case(
        """
        networks: {outside: {}, inside: {}}
        virtual_services:
          - {name: a, address: 192.0.2.10, ports: 80, forwarding: nat, network: dmz}
        """,
        ("virtual_services[0].network: virtual service `a`: unknown network `dmz`",),
    ),
}

ACCEPTED: dict[str, str] = {
    "prefix 32 for IPv4": service("persistence: {source_ip: {prefix: 32}}"),
    "prefix 128 for IPv6": service(
        "persistence: {source_ip: {prefix: 128}}", servers='{address: "2001:db8::1"}', base=V6
    ),
    "persistence of 31 days": service("persistence: {source_ip: {timeout: 31d}}"),
    "sip": service("persistence_engine: sip, persistence: {source_ip: {}}", base=UDP),
    "both flags of mh": service("scheduler: mh, scheduler_flags: [mh-port, mh-fallback]"),
    "one packet of udp": service("one_packet: true", base={**UDP, **DSR}),
    "one-armed nat": service("one_armed: true"),
    "gue": service("tunnel: {type: gue, port: 6080, checksum: remote}", base=TUNNEL),
    "gre": service("tunnel: {type: gre, checksum: full}", base=TUNNEL),
    "a tunnel for the sorry server": service(
        "tunnel: {type: gre}, sorry_server: {address: 10.0.0.9, forwarding: tunnel}"
    ),
    "neighbouring ranges": service(base={"ports": "[80-89, 90, 91-99]"}),
    "a network of the node's alone": service("network: dmz"),
    "every port": service(base={"ports": "all"}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_conflict_is_refused(case: Case) -> None:
    assert messages(case.document) == case.problems


@pytest.mark.parametrize("document", ACCEPTED.values(), ids=ACCEPTED)
def test_what_fits_together_is_accepted(document: str) -> None:
    assert load_site(text_of(document), FILE).virtual_services
