"""Both contenders check the same targets."""

import re

from bench.health.workload import INTERVAL_S, SERVERS_PER_SERVICE, keepalived_conf, probes
from kernelbal.model.address import format_address


def test_every_target_is_checked_once_by_each() -> None:
    wanted = probes(1234, 8080)
    ours = sorted(format_address(probe.target.address) for probe in wanted.values())
    text = keepalived_conf(1234, 8080)
    assert sorted(re.findall(r"real_server (\S+) 8080", text)) == ours
    assert len(set(ours)) == 1234
    assert text.count("TCP_CHECK") == 1234
    assert text.count("virtual_server ") == -(-1234 // SERVERS_PER_SERVICE)
    assert text.count("{") == text.count("}")
    assert all(address.startswith("127.1.") for address in ours)


def test_both_check_equally_often() -> None:
    assert {probe.timing.interval_s for probe in probes(3, 80).values()} == {INTERVAL_S}
    assert f"delay_loop {INTERVAL_S:g}\n" in keepalived_conf(3, 80)
