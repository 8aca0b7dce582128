"""What a site file can say about a service, as another program reads it from the kernel."""

import re
from pathlib import Path

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.model.choices import Scheduler, SchedulerFlag
from tests.support.lab_commands import Operator

pytestmark = pytest.mark.needs_ipvs

SERVICE = """
  - name: {name}
    address: "{address}"
    protocol: {protocol}
    ports: [{port}]
    forwarding: {forwarding}
    {extra}
    real_servers: [{{address: "{server}", weight: 3}}]
"""


def service(
    name: str,
    extra: str = "",
    *,
    port: int = 80,
    protocol: str = "tcp",
    forwarding: str = "dsr",
    address: str = "10.0.0.80",
    server: str = "10.0.0.11",
) -> str:
    return SERVICE.format(
        name=name,
        address=address,
        protocol=protocol,
        port=port,
        forwarding=forwarding,
        extra=extra,
        server=server,
    )


def saved(at: Operator) -> list[str]:
    """`ipvsadm --save --numeric`, line by line."""
    return at.director.run(["ipvsadm", "-S", "-n"]).stdout.splitlines()


@pytest.fixture
def at(lab: LabFactory, tmp_path: Path) -> Operator:
    return Operator(lab("one-arm"), tmp_path)


def test_every_scheduler(at: Operator) -> None:
    names = [scheduler.value for scheduler in Scheduler]
    services = [service(name, f"scheduler: {name}", port=1000 + i) for i, name in enumerate(names)]
    at.apply("virtual_services:" + "".join(services))
    assert [line for line in saved(at) if line.startswith("-A")] == [
        f"-A -t 10.0.0.80:{1000 + i} -s {name}" for i, name in enumerate(names)
    ]


def test_every_scheduler_flag(at: Operator) -> None:
    services = [
        service(
            flag.value,
            f"scheduler: {flag.scheduler.value}\n    scheduler_flags: [{flag.value}]",
            port=1000 + i,
        )
        for i, flag in enumerate(SchedulerFlag)
    ]
    at.apply("virtual_services:" + "".join(services))
    assert [line for line in saved(at) if line.startswith("-A")] == [
        f"-A -t 10.0.0.80:{1000 + i} -s {flag.scheduler.value} -b {flag.value}"
        for i, flag in enumerate(SchedulerFlag)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (service("p", "persistence: {source_ip: {timeout: 5m}}"), "-A -t 10.0.0.80:80 -s wlc -p 300"),
        (
            service("p", "persistence: {source_ip: {timeout: 90s, prefix: 24}}"),
            "-A -t 10.0.0.80:80 -s wlc -p 90 -M 255.255.255.0",
        ),
        (
            service(
                "p",
                "persistence: {source_ip: {timeout: 90s, prefix: 64}}",
                address="fd00::80",
                server="fd00::11",
            ),
            "-A -t [fd00::80]:80 -s wlc -p 90 -M 64",
        ),
        (service("o", "one_packet: true", protocol="udp", port=53), "-A -u 10.0.0.80:53 -s wlc -o"),
        (
            service(
                "s",
                "persistence: {source_ip: {timeout: 1m}}\n    persistence_engine: sip",
                protocol="udp",
                port=5060,
            ),
            "-A -u 10.0.0.80:5060 -s wlc -p 60 --pe sip",
        ),
        (service("s", protocol="sctp", port=3868), "-A --sctp-service 10.0.0.80:3868 -s wlc"),
    ],
)
def test_service_options(at: Operator, text: str, expected: str) -> None:
    at.apply("virtual_services:" + text)
    assert [line for line in saved(at) if line.startswith("-A")] == [expected]


def test_thresholds_and_weights(at: Operator) -> None:
    text = service("t").replace("weight: 3", "weight: 65535, upper_threshold: 500, lower_threshold: 100")
    at.apply("virtual_services:" + text)
    listed = at.director.run(["ipvsadm", "-L", "-n", "--thresholds"]).stdout
    assert re.search(r"10\.0\.0\.11:80\s+500\s+100", listed)
    assert "-w 65535" in saved(at)[-1]


@pytest.mark.parametrize(
    ("tunnel", "expected"),
    [
        ("{type: ipip}", "--tun-type ipip"),
        ("{type: gue, port: 6080}", "--tun-type gue --tun-port 6080 --tun-nocsum"),
        ("{type: gue, port: 6080, checksum: full}", "--tun-type gue --tun-port 6080 --tun-csum"),
        ("{type: gue, port: 6080, checksum: remote}", "--tun-type gue --tun-port 6080 --tun-remcsum"),
        ("{type: gre}", "--tun-type gre --tun-nocsum"),
        ("{type: gre, checksum: full}", "--tun-type gre --tun-csum"),
    ],
)
def test_tunnels(at: Operator, tunnel: str, expected: str) -> None:
    at.apply("virtual_services:" + service("t", f"tunnel: {tunnel}", forwarding="tunnel"))
    assert f"-i -w 3 {expected}" in saved(at)[-1]


def test_timeouts_and_overridden_sysctls(at: Operator) -> None:
    at.apply(
        "kernel:\n  timeouts: {tcp: 10m, tcp_fin: 30s, udp: 1m}\n"
        "  sysctls: {conn_reuse_mode: 0, sloppy_tcp: 1}\nvirtual_services:" + service("t")
    )
    assert "600 30 60" in at.director.run(["ipvsadm", "-L", "--timeout"]).stdout
    values = at.director.run(["sysctl", "-n", "net.ipv4.vs.conn_reuse_mode", "net.ipv4.vs.sloppy_tcp"]).stdout
    assert values.split() == ["0", "1"]


def test_shared_addresses_keep_the_prefix_of_their_subnet(at: Operator) -> None:
    networks = 'networks:\n  inside: {shared_addresses: [10.0.0.254/24, "fd00::254/64"]}\n'
    at.apply(networks + "virtual_services:" + service("t", "network: inside"))
    shown = at.director.run(["ip", "-o", "address", "show", "dev", "eth0"]).stdout
    assert "10.0.0.254/24" in shown
    assert re.search(r"fd00::254/64 scope global (nodad )?deprecated", shown)
