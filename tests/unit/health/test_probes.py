"""What is probed for a site."""

import gc
import time
from random import Random

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelbal.health.checks.table import ProbeTransport, method_of
from kernelbal.health.path_marks import PATH_MARK_BASE
from kernelbal.health.probes import KEY_DIGITS, plan_probes
from kernelbal.model.address import AF_INET, Address, parse_address
from kernelbal.model.health import PathCheck, Probe, ProbePlan, Target, Timing
from kernelbal.model.ipvs import DestinationAttributes, DestinationKey, Forwarding
from kernelbal.model.site import Site
from kernelbal.model.site.check import HttpCheck
from kernelbal.model.site.services import ServerKey
from tests.property.strategies import sites

NOWHERE = Address(b"")
ONE, TWO = parse_address("10.0.0.1"), parse_address("10.0.0.2")
VIRTUAL = parse_address("192.0.2.10")


def site(*services: str) -> Site:
    """A site of services in flow style; each is `web` with two real servers unless it says otherwise."""
    base = "name: web, address: 192.0.2.10, ports: 80, forwarding: nat"
    servers = "real_servers: [{address: 10.0.0.1}, {address: 10.0.0.2}]"
    merged = [
        {**yaml.safe_load(f"{{{base}, {servers}}}"), **yaml.safe_load(f"{{{text}}}")} for text in services
    ]
    return Site.model_validate({"virtual_services": merged})


def plan(*services: str) -> ProbePlan:
    return plan_probes(site(*services))


def targets(of: ProbePlan) -> list[Target]:
    return [probe.target for probe in of.probes.values()]


def only(of: ProbePlan, service: str = "web", address: Address = ONE, port: int = 0) -> Probe:
    """The only probe of a real server."""
    (key,) = of.checks[ServerKey(service, address, port)]
    return of.probes[key]


def test_each_real_server_is_probed_at_its_own_address() -> None:
    planned = plan("")
    assert set(planned.checks) == {ServerKey("web", ONE), ServerKey("web", TWO)}
    probe = only(planned)
    assert probe.protocol == HttpCheck()
    assert probe.target == Target(ONE, 80, "192.0.2.10", ONE)
    assert probe.timing == Timing(9.0, 4.0, 1, 3, 0.45)
    assert probe.agent == ""
    assert (planned.paths, planned.causes, planned.agents) == ((), {}, {})


def test_real_server_is_probed_at_every_port() -> None:
    planned = plan("ports: [80, 443, 8000-8010]")
    ports = [planned.probes[key].target.port for key in planned.checks[ServerKey("web", ONE)]]
    assert ports == [80, 443, 8000]


def test_port_of_its_own_replaces_the_services_and_not_the_protocol() -> None:
    planned = plan("real_servers: [{address: 10.0.0.1, port: 8080}, {address: 10.0.0.1, port: 8081}]")
    for port in (8080, 8081):
        probe = only(planned, port=port)
        assert (probe.protocol.kind, probe.target.port) == ("http", port)


def test_port_of_the_check_replaces_both() -> None:
    planned = plan("check: {port: 9000}, real_servers: [{address: 10.0.0.1, port: 8080}]")
    assert only(planned, port=8080).target.port == 9000


def test_ping_has_no_port() -> None:
    planned = plan("check: icmp, real_servers: [{address: 10.0.0.1, port: 8080}]")
    assert only(planned, port=8080).target.port == 0


def test_unchecked_real_server_has_no_probe() -> None:
    planned = plan("check: none")
    assert planned.checks == {ServerKey("web", ONE): (), ServerKey("web", TWO): ()}
    assert planned.probes == {}


def test_source_and_mark_are_used() -> None:
    probe = only(plan("check: {source: 10.0.0.100, mark: 7}"))
    assert (probe.target.source, probe.target.mark) == (parse_address("10.0.0.100"), 7)


def test_one_probe_of_another_address_serves_all() -> None:
    planned = plan("check: {tcp: {}, address: 10.0.0.9}")
    assert planned.checks[ServerKey("web", ONE)] == planned.checks[ServerKey("web", TWO)]
    assert targets(planned) == [Target(parse_address("10.0.0.9"), 80, "10.0.0.9", parse_address("10.0.0.9"))]


def test_script_gets_each_real_server() -> None:
    planned = plan("check: {script: {argv: [/bin/true]}, address: 10.0.0.9}")
    assert {target.server for target in targets(planned)} == {ONE, TWO}
    assert {target.host for target in targets(planned)} == {"192.0.2.10"}


# --- sharing ---


def test_services_with_equal_checks_share_a_probe() -> None:
    planned = plan("check: tcp", "name: other, address: 192.0.2.11, check: {tcp: {}, interval: 9s}")
    assert len(planned.probes) == 2
    assert planned.checks[ServerKey("web", ONE)] == planned.checks[ServerKey("other", ONE)]


@pytest.mark.parametrize(
    "other",
    [
        "check: {tcp: {}, interval: 8s}",
        "check: {tcp: {}, timeout: 3s}",
        "check: {tcp: {}, rise: 2}",
        "check: {tcp: {}, fall: 2}",
        "check: {tcp: {}, jitter: 0}",
        "check: {tcp: {}, port: 81}",
        "check: {tcp: {}, source: 10.0.0.100}",
        "check: {tcp: {}, mark: 7}",
        "check: tls",
        "forwarding: dsr, check: tcp",
    ],
)
def test_whatever_differs_makes_another_probe(other: str) -> None:
    planned = plan("check: tcp", f"name: other, address: 192.0.2.11, {other}")
    assert planned.checks[ServerKey("web", ONE)] != planned.checks[ServerKey("other", ONE)]


def test_host_header_is_part_of_the_probe() -> None:
    by_address = plan("", "name: other, address: 192.0.2.11")
    by_name = plan(
        "check: {http: {host: a.example}, port: 80}",
        "name: other, check: {http: {host: a.example}, port: 80}",
    )
    assert (len(by_address.probes), len(by_name.probes)) == (4, 2)


def test_key_is_short_and_stays_the_same() -> None:
    probe = only(plan("check: tcp"))
    assert len(probe.key) == KEY_DIGITS
    assert probe.key == only(plan("check: tcp, name: web", "name: b, ports: 81")).key
    assert int(probe.key, 16) > 0


# --- through the virtual address ---


def test_dsr_is_probed_through_the_virtual_address() -> None:
    planned = plan("forwarding: dsr")
    probe = only(planned)
    mark = probe.target.mark
    assert probe.target == Target(VIRTUAL, 80, "192.0.2.10", ONE, mark=mark, through=True, hops=2)
    assert mark & 0xFF000000 == PATH_MARK_BASE
    attributes = DestinationAttributes(int(Forwarding.DSR), 1)
    assert PathCheck(AF_INET, mark, DestinationKey(ONE, 0), attributes) in planned.paths
    assert len(planned.paths) == 2


def test_beside_it_goes_a_slower_probe_of_its_own_address() -> None:
    planned = plan("forwarding: dsr, check: {http: {host: a.example}, interval: 5s, jitter: 0}")
    probe = only(planned)
    beside = planned.probes[planned.causes[probe.key]]
    assert beside.protocol == probe.protocol
    assert beside.target == Target(ONE, 80, "192.0.2.10", ONE)
    assert beside.timing == Timing(15.0, 4.0, 1, 1, 0.0)
    assert all(beside.key not in keys for keys in planned.checks.values())


def test_ports_and_services_of_one_path_share_its_mark() -> None:
    planned = plan("forwarding: dsr, ports: [80, 443]", "name: b, forwarding: dsr, ports: 8080")
    marks = {target.mark for target in targets(planned) if target.server == ONE and target.through}
    assert len(marks) == 1
    assert len(planned.paths) == 2


def test_paths_of_two_methods_are_two() -> None:
    planned = plan("forwarding: dsr", "name: b, forwarding: tunnel, ports: 81")
    assert {path.attributes.forwarding for path in planned.paths} == {2, 3}
    assert len({path.mark for path in planned.paths}) == 4


def test_tunnel_joins_the_families() -> None:
    servers = 'real_servers: [{address: "2001:db8::1"}]'
    planned = plan(f"forwarding: tunnel, check: {{source: 192.0.2.1}}, {servers}")
    (path,) = planned.paths
    server = parse_address("2001:db8::1")
    assert (path.family, path.destination) == (AF_INET, DestinationKey(server, 0))
    through = only(planned, address=server)
    beside = planned.probes[planned.causes[through.key]]
    assert (through.target.source, beside.target.source) == (parse_address("192.0.2.1"), NOWHERE)


def test_direct_check_needs_no_path() -> None:
    planned = plan("forwarding: dsr, check: {through: real}")
    assert (planned.paths, planned.causes) == ((), {})
    assert only(planned).target.address == ONE


# --- agents ---


def test_agent_is_probed_at_the_real_servers_address() -> None:
    planned = plan("forwarding: dsr, adaptive: {text_agent: {port: 9999}, interval: 2s, timeout: 1s}")
    probe = planned.probes[planned.agents[ServerKey("web", ONE)]]
    assert probe.target == Target(ONE, 9999, "10.0.0.1", ONE)
    assert probe.agent == "text"


def test_services_share_an_agent() -> None:
    agent = "adaptive: {http_agent: {port: 8080}}"
    planned = plan(agent, f"name: b, address: 192.0.2.11, {agent}")
    assert planned.agents[ServerKey("web", ONE)] == planned.agents[ServerKey("b", ONE)]


# --- what holds for every site ---


@given(sites())
def test_plan_is_complete_and_consistent(of: Site) -> None:
    planned = plan_probes(of)
    assert set(planned.checks) == {
        ServerKey(service.name, Address(server.address), server.port or 0)
        for service in of.virtual_services
        for server in service.real_servers
    }
    used = {key for keys in planned.checks.values() for key in keys} | set(planned.agents.values())
    assert used | set(planned.causes.values()) == set(planned.probes)
    assert all(key == probe.key for key, probe in planned.probes.items())
    assert set(planned.causes) == {key for key, probe in planned.probes.items() if probe.target.through}
    ways = {(path.mark, path.destination.address) for path in planned.paths}
    through = [target for target in targets(planned) if target.through]
    assert {(target.mark, target.server) for target in through} == ways


@given(sites(), st.randoms())
def test_order_and_names_of_services_change_no_probe(of: Site, random: Random) -> None:
    renamed = [
        service.model_copy(update={"name": f"renamed-{index}"})
        for index, service in enumerate(of.virtual_services)
    ]
    shuffled = random.sample(renamed, len(renamed))
    assert plan_probes(Site(virtual_services=tuple(shuffled))).probes == plan_probes(of).probes


@given(sites(), sites())
def test_probe_of_one_key_is_the_same_in_every_site(first: Site, second: Site) -> None:
    before, after = plan_probes(first).probes, plan_probes(second).probes
    assert all(before[key] == after[key] for key in before.keys() & after.keys())


@settings(max_examples=20)
@given(sites())
def test_every_probe_can_be_driven(of: Site) -> None:
    for probe in plan_probes(of).probes.values():
        assert method_of(probe).transport is not ProbeTransport.NONE


@pytest.mark.parametrize("forwarding", ["nat", "dsr"])
def test_many_real_servers_are_planned_at_once(forwarding: str) -> None:
    servers = ", ".join(f"{{address: 10.1.{number >> 8}.{number & 255}}}" for number in range(5000))
    of = site(f"forwarding: {forwarding}, real_servers: [{servers}]")
    gc.collect()
    began_s = time.process_time()
    planned = plan_probes(of)
    assert len(planned.checks) == 5000
    assert time.process_time() - began_s < 5  # about 0.1 s; what grows with the square would take minutes
