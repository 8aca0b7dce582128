"""Settings that work, but hardly as intended."""

import pytest

from kernelbal.config.load import load_site, site_warnings
from tests.unit.config.spec import FILE, UDP, Case, one, service, text_of

CASES: dict[str, Case] = {
    "ovf with udp": one(
        "scheduler: scheduler `ovf` counts active connections, and udp has none", "scheduler: ovf", **UDP
    ),
    "port hash with port following": one(
        "scheduler_flags[0]: `mh-port` spreads a client's connections, and port following ties them together",
        "scheduler: mh, scheduler_flags: [mh-port], port_following: true",
        ports="[80, 443]",
    ),
    "persistence with sh": one(
        "persistence: persistence with scheduler `sh`, which keeps clients in place anyway",
        "scheduler: sh, persistence: {source_ip: {}}",
    ),
    "one packet with nat": one(
        "one_packet: with one-packet scheduling, nat does not translate the replies",
        "one_packet: true",
        **UDP,
    ),
    "quiesced real server of sh": one(
        "real_servers[1]: clients of quiesced 10.0.0.2 get no connection",
        "scheduler: sh",
        "{address: 10.0.0.1}, {address: 10.0.0.2, weight: 0}",
    ),
    "quiesced real server of mh": one(
        "real_servers[1]: clients of quiesced 10.0.0.2 get no connection",
        "scheduler: mh",
        "{address: 10.0.0.1}, {address: 10.0.0.2, weight: 0}",
    ),
    "weights for rr": one(
        "scheduler: scheduler `rr` ignores the different weights",
        "scheduler: rr",
        "{address: 10.0.0.1, weight: 1}, {address: 10.0.0.2, weight: 2}",
    ),
    "all quiesced": one(
        "real_servers: no real server takes connections: all its real servers have weight 0",
        servers="{address: 10.0.0.1, weight: 0}",
    ),
    "unused mark": one(
        "mark: the mark is not used: a single port without port following needs none", "mark: 7"
    ),
    "port following alone": one(
        "port_following: port following without persistence: each connection is scheduled by itself",
        "port_following: true",
        ports="[80, 443]",
    ),
    "another network's subnet": Case(
        """
        networks: {outside: {shared_addresses: [192.0.2.1/24]}, inside: {}}
        virtual_services:
          - {name: web, address: 192.0.2.10, ports: 80, forwarding: nat, network: inside,
             real_servers: [{address: 10.0.0.1}]}
        """,
        (
            "virtual_services[0].network: virtual service `web`: 192.0.2.10 lies in the subnet of network "
            "`outside`",
        ),
    ),
}

SILENT: dict[str, str] = {
    "plain": service(),
    "ovf with tcp": service("scheduler: ovf"),
    "quiesced with fallback": service(
        "scheduler: sh, scheduler_flags: [sh-fallback]",
        servers="{address: 10.0.0.1}, {address: 10.0.0.2, weight: 0}",
    ),
    "quiesced with fallback of mh": service(
        "scheduler: mh, scheduler_flags: [mh-fallback]",
        servers="{address: 10.0.0.1}, {address: 10.0.0.2, weight: 0}",
    ),
    "weights for wrr": service(
        "scheduler: wrr", servers="{address: 10.0.0.1, weight: 1}, {address: 10.0.0.2, weight: 2}"
    ),
    "one quiesced of rr": service(
        "scheduler: rr", servers="{address: 10.0.0.1}, {address: 10.0.0.2, weight: 0}"
    ),
    "all quiesced with a sorry server": service(
        "sorry_server: {address: 10.0.0.9}", servers="{address: 10.0.0.1, weight: 0}"
    ),
    "mark of a range": service("mark: 7", base={"ports": "80-81"}),
    "port following with persistence": service(
        "port_following: true, persistence: {source_ip: {}}", base={"ports": "[80, 443]"}
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_doubtful_setting_is_warned_about(case: Case) -> None:
    text = text_of(case.document)
    problems = site_warnings(load_site(text, FILE), text, FILE)
    assert tuple(f"{problem.key}: {problem.message}" for problem in problems) == case.problems


@pytest.mark.parametrize("document", SILENT.values(), ids=SILENT)
def test_good_setting_is_not_warned_about(document: str) -> None:
    text = text_of(document)
    assert site_warnings(load_site(text, FILE), text, FILE) == ()
