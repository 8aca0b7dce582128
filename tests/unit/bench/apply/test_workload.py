"""Every contender's document describes the same site."""

import re
from itertools import pairwise

import pytest

from bench.apply.netlink_part import actions_for
from bench.apply.workload import (
    MAX_SERVICES,
    PORTS_PER_ADDRESS,
    Workload,
    ipvsadm_rules,
    keepalived_conf,
    node_yaml,
    service_table,
    site_yaml,
)
from kernelbal.config.load import load_node, load_site
from kernelbal.model.address import format_endpoint
from kernelbal.plan.actions import AddService
from kernelbal.plan.desire import desired_state

SMALL = Workload(PORTS_PER_ADDRESS + 5)


def endpoints_and_weights() -> dict[str, dict[str, int]]:
    return {
        format_endpoint(key.address, key.port): {
            format_endpoint(*name): values.weight for name, values in server.destinations.items()
        }
        for key, server in service_table(SMALL).items()
    }


def test_sizes() -> None:
    table = service_table(SMALL)
    assert len(table) == SMALL.services
    assert sum(len(server.destinations) for server in table.values()) == SMALL.real_servers


def test_no_real_server_twice_and_many_weights() -> None:
    names = [name for server in service_table(SMALL).values() for name in server.destinations]
    assert len({name.address for name in names}) == SMALL.real_servers
    weights = [value.weight for s in service_table(SMALL).values() for value in s.destinations.values()]
    assert len(set(weights)) == 100


def test_the_largest_workload_stays_in_the_network_for_benchmarks() -> None:
    last = Workload(MAX_SERVICES).service(MAX_SERVICES - 1).servers[-1].address
    assert last[:2] == b"\xc6\x13"
    assert last[2:] != b"\xff\xff"


def test_virtual_addresses_are_few() -> None:
    assert len({key.address for key in service_table(SMALL)}) == 2


def test_site_document_describes_the_table() -> None:
    state = desired_state(
        load_site(site_yaml(SMALL).encode(), "site.yaml"), load_node(node_yaml().encode(), "node.yaml")
    )
    assert state.services == service_table(SMALL)


def test_ipvsadm_rules_describe_the_table() -> None:
    found: dict[str, dict[str, int]] = {}
    for line in ipvsadm_rules(SMALL).splitlines():
        match line.split():
            case ["-A", "-t", service, "-s", "wlc"]:
                found[service] = {}
            case ["-a", "-t", service, "-r", server, "-g", "-w", weight]:
                found[service][server] = int(weight)
            case _:
                pytest.fail(line)
    assert found == endpoints_and_weights()


def test_keepalived_configuration_describes_the_table() -> None:
    found: dict[str, dict[str, int]] = {}
    for block in keepalived_conf(SMALL).split("virtual_server ")[1:]:
        address, port = block.split()[:2]
        servers = re.findall(r"real_server (\S+) (\d+) \{\s+weight (\d+)\s+\}", block)
        found[f"{address}:{port}"] = {f"{server}:{at}": int(weight) for server, at, weight in servers}
        assert "lvs_method DR" in block
        assert "lvs_sched wlc" in block
    assert found == endpoints_and_weights()


def test_the_changed_workload_differs_in_one_weight() -> None:
    before, after = service_table(Workload(7)), service_table(Workload(7, changed=True))
    changed = [
        (key, name)
        for key, server in before.items()
        for name, values in server.destinations.items()
        if after[key].destinations[name] != values
    ]
    service = Workload(7).service(Workload(7).changed_service)
    assert [(key.address, key.port, name.address) for key, name in changed] == [
        (service.address, service.port, service.servers[0].address)
    ]


def test_the_netlink_part_adds_every_service_before_its_real_servers() -> None:
    kinds = [type(action) is AddService for action in actions_for(service_table(Workload(3)))]
    assert kinds.count(True) == 3
    assert all(first or not second for first, second in pairwise(kinds))
    assert len(kinds) == 33
