"""The benchmark of a whole site: its documents, samples and figures."""

import re
from itertools import pairwise

import pytest

from bench.apply.netlink_part import actions_for
from bench.apply.samples import Measure, Sample
from bench.apply.verdict import TARGETS, ApplyRow, judge, rows_of
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
from bench.samples import missed
from kernelbal.config.load import load_node, load_site
from kernelbal.model.address import format_endpoint
from kernelbal.plan.desire import desired_state
from kernelbal.plan.kinds.service_actions import AddService
from kernelbal.plan.kinds.services import SERVICES

# --- medians, ratios within the run, and targets ---


WALL_S = {
    Measure.NETLINK_PROGRAM: 0.3,
    Measure.NETLINK_READ: 0.2,
    Measure.IPVSADM_RESTORE: 10.0,
    Measure.IPVSADM_SAVE: 1.0,
    Measure.KEEPALIVED_START: 3.0,
    Measure.APPLY: 4.0,
    Measure.APPLY_CHANGE_ONE: 2.0,
}


def samples(services: int, scale: float = 1.0, without: Measure | None = None) -> list[Sample]:
    return [
        Sample(measure, services, 1, wall_s * scale, wall_s, 150.0)
        for measure, wall_s in WALL_S.items()
        if measure is not without
    ]


def help_sample() -> Sample:
    return Sample(Measure.HELP, 0, 1, 0.12)


def timed(*wall_s: float) -> ApplyRow:
    return ApplyRow(
        Measure.APPLY, 10, tuple(Sample(Measure.APPLY, 10, n, t) for n, t in enumerate(wall_s, 1))
    )


def test_rows_are_grouped_in_the_order_of_the_table() -> None:
    rows = rows_of([*reversed(samples(10000)), *samples(1000), help_sample()])
    assert [row.services for row in rows] == [0] + [1000] * 7 + [10000] * 7
    assert [row.measure for row in rows[1:8]] == list(WALL_S)


def test_a_row_says_its_median_its_spread_and_whether_repeats_drift() -> None:
    row = timed(2.0, 9.0, 3.0, 1.0, 4.0)
    assert row.wall_s == 3.0
    assert row.spread_s == (1.0, 9.0)
    assert row.drift == 2.0
    assert timed(0.0, 1.0).drift is None


def test_one_failed_repeat_spoils_a_row() -> None:
    row = ApplyRow(
        Measure.APPLY, 10, (*timed(1.0).samples, Sample(Measure.APPLY, 10, 2, 1.0, fault="9 services"))
    )
    assert row.fault == "9 services"


def test_peak_memory_is_the_largest_and_processor_time_the_median() -> None:
    row = ApplyRow(
        Measure.APPLY,
        10,
        tuple(Sample(Measure.APPLY, 10, n, 1.0, float(n), 100.0 * n) for n in (1, 2, 3)),
    )
    assert row.peak_rss_mib == 300.0
    assert row.cpu_s == 2.0


def test_the_verdict_is_about_the_largest_workload() -> None:
    verdict = judge(rows_of([*samples(1000, scale=7.0), *samples(10000), help_sample()]))
    assert verdict == pytest.approx((0.1, 0.03, 0.4, 0.2, 150.0, 120.0))
    assert missed(verdict, TARGETS) == ()


def test_a_contender_without_figures_misses_every_target_that_needs_it() -> None:
    rows = rows_of([*samples(10000, without=Measure.IPVSADM_RESTORE), help_sample()])
    assert [line.partition(":")[0] for line in missed(judge(rows), TARGETS)] == [
        "netlink_vs_ipvsadm",
        "apply_vs_ipvsadm",
        "change_one_vs_ipvsadm",
    ]


def test_a_failed_row_gives_no_figure() -> None:
    failed = Sample(Measure.KEEPALIVED_START, 10000, 2, 0.1, fault="services and real servers are (1, 1)")
    verdict = judge(rows_of([*samples(10000), failed, help_sample()]))
    assert verdict.netlink_vs_keepalived is None
    assert verdict.netlink_vs_ipvsadm is not None


# --- every contender's document describes the same site ---


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
    assert state.of(SERVICES).table == service_table(SMALL)


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
