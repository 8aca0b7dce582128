"""Which sockets wait, from what the kernel shows of them."""

import os
import socket
import struct
from pathlib import Path

import pytest

from kernelbal.kernel import bound_sockets
from kernelbal.kernel.bound_sockets import parse_diag, parse_table, read_bound_sockets
from kernelbal.kernel.netlink import attribute
from kernelbal.model.address import parse_address
from kernelbal.model.bound_socket import BoundSocket
from kernelbal.model.ipvs import Protocol

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000     0        0"
TCP = (
    HEAD
    + f"""\
   0: 5000000A:0050 00000000:0000 0A {REST} 101 1
   1: 00000000:0016 00000000:0000 0A {REST} 102 1
   2: 0B00000A:8F3E 0100000A:0050 01 {REST} 103 1
"""
)
TCP6 = (
    HEAD
    + f"""\
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A {REST} 104 1
   1: 000000FD000000000000000080000000:01BB 00000000000000000000000000000000:0000 0A {REST} 105 1
"""
)
UDP = (
    HEAD
    + f"""\
   0: 00000000:0035 00000000:0000 07 {REST} 106 1
   1: 0B00000A:9999 0100000A:0035 01 {REST} 107 1
"""
)
EPS = """\
 ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS
0 0 2   10  29   36412     0 108 10.0.0.80 fd00::80
"""
little_endian = pytest.mark.skipif(struct.pack("=H", 1) != b"\1\0", reason="addresses are in host order")


@little_endian
def test_everything_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"tcp": TCP, "tcp6": TCP6, "udp": UDP}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "sctp").mkdir()
    (tmp_path / "sctp/eps").write_text(EPS)
    monkeypatch.setattr(bound_sockets, "_only_ipv6", lambda protocol: {104: protocol is Protocol.TCP})
    assert read_bound_sockets(net=tmp_path) == (
        BoundSocket(Protocol.TCP, parse_address("10.0.0.80"), 80, None, 101),
        BoundSocket(Protocol.TCP, parse_address("0.0.0.0"), 22, None, 102),
        BoundSocket(Protocol.TCP, parse_address("::"), 80, True, 104),
        BoundSocket(Protocol.TCP, parse_address("fd00::80"), 443, None, 105),
        BoundSocket(Protocol.UDP, parse_address("0.0.0.0"), 53, None, 106),
        BoundSocket(Protocol.SCTP, parse_address("10.0.0.80"), 36412, None, 108),
        BoundSocket(Protocol.SCTP, parse_address("fd00::80"), 36412, None, 108),
    )


def test_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    assert read_bound_sockets(net=tmp_path) == ()
    assert list(parse_table([], Protocol.TCP, "0A")) == []


def test_kernel_reports_ipv6_only_sockets() -> None:
    def one(inode: int, only: int) -> bytes:
        body = bytes(68) + struct.pack("=I", inode) + attribute(8, b"\0") + attribute(11, bytes((only,)))
        return struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 0) + body

    assert dict(parse_diag(one(7, 1) + one(8, 0))) == {7: True, 8: False}


@pytest.mark.parametrize("only_ipv6", [True, False])
def test_socket_of_this_process(*, only_ipv6: bool) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as made:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_ipv6)
        made.bind(("::", 0))
        made.listen()
        port = made.getsockname()[1]
        (found,) = [each for each in read_bound_sockets({port}) if each.port == port]
    assert (found.only_ipv6, found.wildcard) == (only_ipv6, True)
    assert found.program.endswith(f"(pid {os.getpid()})")
