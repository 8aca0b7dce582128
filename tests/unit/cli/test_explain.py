"""`kernelbal explain` from its arguments to its output, offline and on a fake kernel."""

from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import typer

from kernelbal.cli import explain as command
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.kernel.ipvs import ConnectionFilter
from kernelbal.model.address import parse_address
from kernelbal.model.ipvs import (
    Connection,
    CounterTable,
    DestinationAttributes,
    DestinationCounters,
    DestinationKey,
    Forwarding,
    Protocol,
    ServiceAttributes,
    ServiceFlag,
    ServiceKey,
    VirtualServer,
)
from kernelbal.model.network import AddressAttributes, AddressKey, ObservedAddress, Route
from kernelbal.plan.kind import ObservedState
from tests.support.cli_harness import CommandResult, run_cli
from tests.support.states import observed_of

SITE = """\
networks:
  outside: {shared_addresses: [192.0.2.10/24, "2001:db8::10/64"]}
  inside: {shared_addresses: [10.0.0.1/24, "fd00::1/64"]}
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: 80
    forwarding: nat
    scheduler: fo
    real_servers:
      - {address: 10.0.0.11, weight: 5, name: alpha}
      - {address: 10.0.0.12, weight: 0}
  - name: web6
    address: "2001:db8::10"
    ports: [80, 443]
    forwarding: nat
    scheduler: rr
    real_servers:
      - {address: "fd00::11"}
      - {address: "fd00::12"}
  - name: dns
    address: 192.0.2.10
    protocol: udp
    ports: 53
    forwarding: dsr
    real_servers:
      - {address: 10.0.0.11}
"""
NODE = "name: d1\ninterfaces: {outside: ens1, inside: ens2}\n"
CLIENT, WEB = "198.51.100.7", "192.0.2.10:80"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "node.yaml"
    path.write_text(NODE)
    return path


Explain = Callable[..., CommandResult]


@pytest.fixture
def explain(capsys: pytest.CaptureFixture[str]) -> Explain:
    return lambda *arguments: run_cli(capsys, "explain", *map(str, arguments))


# --- arguments ---


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("192.0.2.10:80", "192.0.2.10", 80),
        ("192.0.2.10", "192.0.2.10", None),
        ("[2001:db8::10]:65535", "2001:db8::10", 65535),
        ("[2001:db8::10]", "2001:db8::10", None),
        ("2001:db8::10", "2001:db8::10", None),
        ("::1", "::1", None),
    ],
)
def test_endpoint(text: str, address: str, port: int | None) -> None:
    assert command.parse_endpoint(text) == (parse_address(address), port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "192.0.2.10:",
        "192.0.2.10:0",
        "192.0.2.10:65536",
        "192.0.2.10:http",
        "192.0.2.10:٨٠",
        "192.0.2.10:-1",
        "192.0.2.300:80",
        "[192.0.2.10",
        "2001:db8::10]:80",
        "[2001:db8::10]x80",
        "[fe80::1%eth0]:80",
        "example.net:80",
    ],
)
def test_endpoint_that_is_none(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="hint: "):
        command.parse_endpoint(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ("client", WEB),
        (CLIENT, "192.0.2.10:port"),
        (CLIENT, "[2001:db8::10]:80"),
        (CLIENT, WEB, "--protocol", "icmp"),
        (CLIENT, WEB, "--client-port", "0"),
        (CLIENT,),
    ],
)
def test_usage_errors_exit_64(arguments: tuple[str, ...], site: Path, explain: Explain) -> None:
    assert explain(*arguments, "--file", site).code == ExitCode.USAGE


# --- from the documents alone ---


def test_site_file_needs_neither_kernel_nor_node(explain: Explain, site: Path) -> None:
    text = explain(CLIENT, WEB, "--file", site).out
    assert text.startswith("198.51.100.7 -> 192.0.2.10:80/tcp, after a first apply of the site file")
    assert "192.0.2.10 will be an address of this director, on outside" in text
    assert "=>  10.0.0.11:80  alpha" in text
    assert "weight 0: no new connections" in text
    assert text.endswith("=> forwarded: goes to real server 10.0.0.11:80\n")


def test_node_file_names_the_devices(explain: Explain, site: Path, node: Path) -> None:
    text = explain(CLIENT, WEB, "--file", site, "--node", node).out
    assert "on ens1" in text
    assert "out of ens2" in text


def test_json(explain: Explain, site: Path) -> None:
    found = explain(CLIENT, WEB, "--client-port", 4711, "--file", site, "--json").document
    assert (found["schema"], found["source"]) == (1, "site file")
    assert (found["client"], found["client_port"]) == (CLIENT, 4711)
    assert (found["virtual_address"], found["port"], found["protocol"]) == ("192.0.2.10", 80, "tcp")
    assert (found["service"], found["service_name"]) == ("192.0.2.10:80/tcp", "web")
    assert (found["outcome"], found["real_server"], found["certainty"]) == (
        "forwarded",
        "10.0.0.11:80",
        "certain",
    )


def test_protocol(explain: Explain, site: Path) -> None:
    found = explain(CLIENT, "192.0.2.10:53", "--protocol", "udp", "--file", site, "--json").document
    assert (found["service_name"], found["real_server"]) == ("dns", "10.0.0.11:53")
    tcp = explain(CLIENT, "192.0.2.10:53", "--file", site, "--json").document
    assert (tcp["service"], tcp["outcome"]) == (None, "own-stack")


def test_ipv6(explain: Explain, site: Path) -> None:
    found = explain("2001:db8:7::1", "[2001:db8::10]:443", "--file", site, "--json").document
    assert (found["service_name"], found["outcome"]) == ("web6", "one-of")


def test_port_of_the_one_service(explain: Explain, site: Path) -> None:
    assert explain(CLIENT, "192.0.2.10", "--file", site, "--json").document["port"] == 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("2001:db8:7::1", "2001:db8::10"), "its services are on ports 80, 443"),
        ((CLIENT, "192.0.2.99"), "no service names one"),
    ],
)
def test_port_that_is_not_clear(
    arguments: tuple[str, str], message: str, site: Path, explain: Explain
) -> None:
    assert (done := explain(*arguments, "--file", site)).code == ExitCode.USAGE
    assert message in " ".join(done.err.replace("│", " ").split())


def test_site_file_that_is_not_there(tmp_path: Path, explain: Explain) -> None:
    done = explain(CLIENT, WEB, "--file", tmp_path / "none.yaml")
    assert done.code != ExitCode.OK
    assert "none.yaml: No such file or directory" in done.err


def test_site_file_that_is_wrong(site: Path, explain: Explain) -> None:
    site.write_text("virtual_service: []\n")
    assert explain(CLIENT, WEB, "--file", site).code == ExitCode.CONFIG


# --- from a kernel ---

VIRTUAL = parse_address("192.0.2.10")
SERVICE = ServiceKey(2, Protocol.TCP, VIRTUAL, 80)
FIRST, SECOND = (DestinationKey(parse_address(f"10.0.0.{last}"), 80) for last in (11, 12))
ENTRIES = (
    Connection(Protocol.TCP, parse_address("198.51.100.0"), 0, VIRTUAL, 80, FIRST, "NONE", 100),
    Connection(Protocol.TCP, parse_address("203.0.113.9"), 0, VIRTUAL, 80, SECOND, "NONE", 100),
)


class FakeKernel:
    """As much of `LinuxKernel` as the command uses."""

    flags = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def observe(self, sysctls: Collection[str] = ()) -> ObservedState:
        attributes = ServiceAttributes("lc", self.flags, 300 if self.flags else 0, 24, "")
        nat = DestinationAttributes(Forwarding.NAT, 1)
        return observed_of(
            services={SERVICE: VirtualServer(attributes, {FIRST: nat, SECOND: nat})},
            addresses=(ObservedAddress(AddressKey("ens1", VIRTUAL, 24), AddressAttributes(), ours=True),),
            routes=(Route(parse_address("10.0.0.0"), 24, None, "ens2", 0),),
            sysctls=dict.fromkeys(sysctls, "1"),
        )

    def read_counters(self, services: Collection[ServiceKey]) -> CounterTable:
        assert list(services) == [SERVICE]
        return {SERVICE: {FIRST: DestinationCounters(9, 0, 0), SECOND: DestinationCounters(3, 0, 0)}}


def read_entries(wanted: ConnectionFilter) -> list[Connection]:
    return [entry for entry in ENTRIES if entry.client == wanted.client]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakeKernel]:
    monkeypatch.setattr("kernelbal.kernel.linux.LinuxKernel", FakeKernel)
    monkeypatch.setattr("kernelbal.reconcile.explain.read_connections", read_entries)
    monkeypatch.setattr(command, "SITE_FILE", tmp_path / "none.yaml")
    return FakeKernel


def test_live_kernel_leads_by_its_counters(explain: Explain, kernel: type[FakeKernel]) -> None:
    found = explain(CLIENT, WEB, "--json").document
    assert (found["source"], found["service_name"]) == ("kernel", None)
    assert (found["real_server"], found["certainty"]) == ("10.0.0.12:80", "now")
    assert [one["active"] for one in found["candidates"]] == [9, 3]


def test_live_kernel_remembers_a_network_of_clients(
    explain: Explain, kernel: type[FakeKernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "flags", int(ServiceFlag.PERSISTENT))
    found = explain(CLIENT, WEB, "--json").document
    assert (found["real_server"], found["steps"][3]["verdict"]) == ("10.0.0.11:80", "template")


def test_live_kernel_without_a_service(explain: Explain, kernel: type[FakeKernel]) -> None:
    assert explain(CLIENT, "192.0.2.10:81", "--json").document["outcome"] == "own-stack"


def test_names_come_from_the_site_file(
    explain: Explain, kernel: type[FakeKernel], monkeypatch: pytest.MonkeyPatch, site: Path, node: Path
) -> None:
    monkeypatch.setattr(command, "SITE_FILE", site)
    found = explain(CLIENT, WEB, "--node", node, "--json").document
    assert found["service_name"] == "web"
    assert [one["name"] for one in found["candidates"]] == ["alpha", None]


def test_broken_site_file_costs_only_the_names(
    explain: Explain, kernel: type[FakeKernel], monkeypatch: pytest.MonkeyPatch, site: Path, node: Path
) -> None:
    site.write_text("virtual_services: 7\n")
    monkeypatch.setattr(command, "SITE_FILE", site)
    output = explain(CLIENT, WEB, "--node", node)
    assert output.code == ExitCode.OK
    assert "explaining without the site document" in output.err
    assert "10.0.0.12:80" in output.out
