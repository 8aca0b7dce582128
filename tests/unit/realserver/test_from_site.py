"""From a site document to what is typed on its real servers."""

import re
from dataclasses import replace

import pytest

from kernelbal.config.load import load_site
from kernelbal.errors import PlanRefused
from kernelbal.model.address import format_address, parse_address
from kernelbal.realserver.from_site import command_lines, options_of, prepared_by_site
from kernelbal.realserver.preparation import MAX_RANGE, Method, PortMap

SITE = """\
virtual_services:
  - {name: web, address: 10.0.0.80, ports: [80, 443], forwarding: dsr, scheduler: rr,
     real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]}
  - {name: dns, address: 10.0.0.80, protocol: udp, ports: [53], forwarding: dsr, scheduler: rr,
     real_servers: [{address: 10.0.0.11}]}
  - {name: six, address: "fd00::80", ports: [80], forwarding: tunnel, tunnel: {type: gue, port: 5555},
     scheduler: rr, real_servers: [{address: 10.0.0.11}]}
  - {name: many, address: 10.0.0.82, ports: ["8000-8999"], forwarding: dsr, scheduler: rr,
     real_servers: [{address: 10.0.0.13}], sorry_server: {address: 10.0.0.20}}
  - {name: nat, address: 10.0.0.83, ports: [80], forwarding: nat, scheduler: rr,
     real_servers: [{address: 10.0.0.14}]}
"""
NAT_ALONE = """\
virtual_services:
  - {name: nat, address: 10.0.0.83, ports: [80], forwarding: nat, scheduler: rr,
     real_servers: [{address: 10.0.0.14}]}
"""


def commands(*names: str, site: str = SITE, **settings: object) -> dict[str, tuple[str, ...]]:
    made = prepared_by_site(load_site(site.encode(), "site.yaml"), names, **settings)  # type: ignore[arg-type] # a test gives what it means
    return {format_address(real): command_lines(each) for real, each in made.items()}


def test_one_command_for_each_address_on_each_real_server() -> None:
    web = "kernelbal realserver apply 10.0.0.80"
    assert commands("web") == {
        "10.0.0.11": (f"{web} --real 10.0.0.11 --port 80/tcp --port 443/tcp --port 53/udp",),
        "10.0.0.12": (f"{web} --real 10.0.0.12 --port 80/tcp --port 443/tcp",),
    }


def test_a_tunnel_is_named() -> None:
    (line,) = commands("six")["10.0.0.11"]
    assert line == (
        "kernelbal realserver apply fd00::80 --forwarding tunnel --tunnel gue --tunnel-port 5555 "
        "--real 10.0.0.11 --port 80/tcp"
    )


def test_all_services_that_need_it_are_taken_by_default() -> None:
    assert sorted(commands()) == ["10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.20"]


def test_a_sorry_server_is_prepared_too_and_many_ports_stand_for_all() -> None:
    assert MAX_RANGE < 1000
    line = "kernelbal realserver apply 10.0.0.82 --real"
    assert commands("many") == {"10.0.0.13": (f"{line} 10.0.0.13",), "10.0.0.20": (f"{line} 10.0.0.20",)}


def test_neighbouring_ports_are_a_range() -> None:
    (one,) = prepared_by_site(load_site(SITE.encode(), "site.yaml"), ("six",)).values()
    ports = (PortMap(6, 80, 80), PortMap(6, 81, 81), PortMap(6, 82, 82), PortMap(17, 83, 83))
    (line,) = command_lines((replace(one[0], ports=ports),))
    assert line.endswith("--port 80-82/tcp --port 83/udp")


def test_what_is_not_the_default_is_said() -> None:
    made = prepared_by_site(
        load_site(SITE.encode(), "site.yaml"), ("many",), method=Method.ARP, mtu_bytes=1400
    )
    ((first, *_), _) = made.values()
    assert command_lines((first,), ("eth1", "eth2"), "unit") == (
        "kernelbal realserver apply 10.0.0.82 --method arp --interface eth1 --interface eth2 "
        "--real 10.0.0.13 --mtu 1400 --persist unit",
    )


@pytest.mark.parametrize(
    ("site", "names", "message", "hint"),
    [
        (SITE, ("wen",), "the site has no virtual service `wen`", "it has web, dns, six, many, nat"),
        (SITE, ("nat",), "the real servers of `nat` need no preparation", "those of web, dns, six, many do"),
        (
            NAT_ALONE,
            ("nat",),
            "the real servers of `nat` need no",
            "no service of this site is dsr or tunnel",
        ),
        (NAT_ALONE, (), "no real server of this site needs a preparation", "only forwarding dsr and tunnel"),
        (
            SITE.replace("name: dns, address: 10.0.0.80", "name: dns, address: 10.0.0.80").replace(
                "ports: [53], forwarding: dsr", "ports: [53], forwarding: tunnel"
            ),
            ("web",),
            "10.0.0.11 gets packets for 10.0.0.80 both as dsr and as tunnel ipip",
            "give the services of one address one forwarding method",
        ),
    ],
)
def test_what_cannot_be_prepared_is_refused(
    site: str, names: tuple[str, ...], message: str, hint: str
) -> None:
    with pytest.raises(PlanRefused, match=re.escape(message)) as caught:
        commands(*names, site=site)
    assert str(caught.value.hint).startswith(hint)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("web", "--port 80/tcp --port 443/tcp"),
        ("dns", "--port 53/udp"),
        ("six", "--forwarding tunnel --tunnel gue --tunnel-port 5555 --real 10.0.0.11 --port 80/tcp"),
        ("many", ""),
    ],
)
def test_options_for_one_service(name: str, options: str) -> None:
    site = load_site(SITE.encode(), "site.yaml")
    (service,) = (each for each in site.virtual_services if each.name == name)
    assert options_of(service, parse_address("10.0.0.11")) == options
