"""The command that makes a preparation: read back, it means the same."""

import shlex
from dataclasses import replace

import pytest
import typer

from kernelbal.cli import realserver
from kernelbal.cli.realserver_options import Asked
from kernelbal.model.ipvs import TunnelType
from kernelbal.realserver.command_line import command_of, port_options
from kernelbal.realserver.preparation import MAX_RANGE, Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.resolve import PreparationRequest
from tests.support.realserver_host import GRE, GUE, HTTP, IPIP, REAL6, VIP, VIP6, prepared

MOVED = PortMap(6, 80, 8080)
WHOLE = "kernelbal realserver apply 10.0.0.80"


@pytest.mark.parametrize(
    ("one", "options"),
    [
        (prepared(), ""),
        (prepared(VIP, Method.ARP, None, HTTP), "--method arp|--port 80/tcp"),
        (prepared(VIP, Method.REDIRECT, IPIP, MOVED),
         "--forwarding tunnel --tunnel ipip --method redirect|--port 80:8080/tcp"),
        (prepared(VIP, Method.LOOPBACK, GUE), "--forwarding tunnel --tunnel gue --tunnel-port 5555|"),
        (replace(prepared(), mtu_bytes=1400, at_boot=False), "|--mtu 1400 --persist none"),
    ],
)  # fmt: skip
def test_whole_command(one: Preparation, options: str) -> None:
    before, _, after = options.partition("|")
    words = (WHOLE, before, "--interface eth0 --real 10.0.0.11", after)
    assert command_of(one) == " ".join(word for word in words if word)


def test_another_real_address_and_who_brings_it_back() -> None:
    assert command_of(prepared(), real="NEW", persist="unit") == (
        f"{WHOLE} --interface eth0 --real NEW --persist unit"
    )


def test_neighbours_are_a_range_unless_they_are_led_elsewhere() -> None:
    ports = (HTTP, PortMap(6, 81, 81), PortMap(17, 82, 82), PortMap(6, 90, 9000), PortMap(6, 91, 9001))
    assert [*port_options(ports)] == [
        "--port 80-81/tcp",
        "--port 82/udp",
        "--port 90:9000/tcp",
        "--port 91:9001/tcp",
    ]


def test_no_range_is_longer_than_a_range_may_be() -> None:
    ports = [PortMap(6, port, port) for port in range(1000, 1000 + MAX_RANGE + 2)]
    assert [*port_options(ports)] == [
        f"--port 1000-{999 + MAX_RANGE}/tcp",
        f"--port {1000 + MAX_RANGE}-{1001 + MAX_RANGE}/tcp",
    ]


def read_back(command: str, monkeypatch: pytest.MonkeyPatch) -> PreparationRequest:
    """What `kernelbal realserver apply` asks for when the command is typed."""
    typed: list[Asked] = []

    class Stop(Exception):
        pass

    def made(*values: object) -> Asked:
        typed.append(Asked(*values))  # type: ignore[arg-type] # as the command line gives them
        raise Stop

    monkeypatch.setattr(realserver, "Asked", made)
    with pytest.raises(Stop):
        typer.main.get_command(realserver.app).main(shlex.split(command)[2:], standalone_mode=False)
    (request,) = typed[0].requests()
    return request


@pytest.mark.parametrize(
    "one",
    [
        prepared(VIP, Method.REDIRECT, GRE, MOVED, PortMap(17, 53, 53)),
        prepared(VIP, Method.LOOPBACK, GUE, HTTP, PortMap(6, 81, 81), interfaces=("eth0", "eth1")),
        replace(prepared(VIP6, Method.ARP, Encapsulation(TunnelType.IPIP), HTTP), mtu_bytes=1400),
        prepared(VIP, Method.LOOPBACK, IPIP, real=REAL6),
    ],
)
def test_typed_it_means_the_same(one: Preparation, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = read_back(command_of(one), monkeypatch)
    assert (asked.virtual, asked.real, asked.method, asked.tunnel) == (
        one.virtual,
        one.real,
        one.method,
        one.tunnel,
    )
    assert (asked.interfaces, asked.ports) == (one.interfaces, one.ports)
    assert asked.mtu_bytes in (0, one.mtu_bytes)
