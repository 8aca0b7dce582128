"""Every scenario names an example, a node document and a topology that exist, and every name is played."""

import pytest

from kernelbal.config.load import load_node, load_site
from kernelbal.lab.demo import scenarios
from kernelbal.lab.demo.names import ScenarioName
from kernelbal.lab.demo.scenarios import SCENARIOS, Scenario, checkout, select
from kernelbal.lab.errors import LabError
from kernelbal.lab.topology import Role, load_topology
from kernelbal.model.choices import ForwardingName, Scheduler

BY_NAME = [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS]


def test_every_name_is_played_once() -> None:
    assert [scenario.name for scenario in SCENARIOS] == list(ScenarioName)


def test_select() -> None:
    assert select([]) == SCENARIOS
    chosen = select([ScenarioName.TUNNEL, ScenarioName.NAT, ScenarioName.NAT])
    assert [scenario.name for scenario in chosen] == ["nat", "tunnel"]


@pytest.mark.parametrize("scenario", BY_NAME)
def test_example_fits_topology(scenario: Scenario) -> None:
    """Real servers of the example are those of the topology; the node's devices are the director's."""
    topology = load_topology(scenario.topology)
    (director,) = topology.with_role(Role.DIRECTOR)
    examples = checkout() / "examples"
    node = load_node((examples / scenario.node).read_bytes(), scenario.node)
    assert set(node.interfaces.values()) <= {link.device for link in director.links}
    site = load_site((examples / scenario.site).read_bytes(), scenario.site)
    hosts = [
        {i.ip.packed for link in host.links for i in link.addresses}
        for host in topology.with_role(Role.REAL_SERVER)
    ]
    for service in site.virtual_services:
        assert all(server.address in own for server, own in zip(service.real_servers, hosts, strict=True)), (
            service.name
        )


@pytest.mark.parametrize("scenario", BY_NAME)
def test_example_has_both_families_and_fair_schedulers(scenario: Scenario) -> None:
    site = load_site((checkout() / "examples" / scenario.site).read_bytes(), scenario.site)
    assert sorted(len(service.address) for service in site.virtual_services) == [4, 16]
    assert {service.scheduler for service in site.virtual_services} == {Scheduler.RR, Scheduler.WRR}


@pytest.mark.parametrize("scenario", BY_NAME)
def test_example_is_of_the_method(scenario: Scenario) -> None:
    site = load_site((checkout() / "examples" / scenario.site).read_bytes(), scenario.site)
    methods = {(service.forwarding, service.one_armed) for service in site.virtual_services}
    assert methods == {
        {
            ScenarioName.NAT: (ForwardingName.NAT, False),
            ScenarioName.ONE_ARMED: (ForwardingName.NAT, True),
            ScenarioName.DSR: (ForwardingName.DSR, False),
            ScenarioName.TUNNEL: (ForwardingName.TUNNEL, False),
            ScenarioName.DAEMON: (ForwardingName.NAT, False),
        }[scenario.name]
    }


def test_missing_examples_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios, "EXAMPLES", "no-examples")
    with pytest.raises(LabError, match="from a checkout"):
        checkout()
