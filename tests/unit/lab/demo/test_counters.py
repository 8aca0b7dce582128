"""Packet counters are read from the kernel's own tables."""

from kernelbal.lab.demo.counters import Packets, Reading, parse_devices, parse_ipvs, total

DEVICES = """\
Inter-| Receive | Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier
  lo: 9999 90 0 0 0 0 0 0 9999 90 0 0 0 0 0 0
  eth0: 1234567 1007 0 0 0 0 0 0 7654321 1004 0 0 0 0 0 0
  eth1:11 2 0 0 0 0 0 0 22 3 0 0 0 0 0 0
  tunl0: 50000 500 0 0 0 0 0 0 50000 500 0 0 0 0 0 0
"""
IPVS = """\
       Total Incoming Outgoing         Incoming         Outgoing
CPU    Conns  Packets  Packets            Bytes            Bytes
  0       C8      3E8      1F4            D6D8                0
  1        1        5        0             100                0
  ~       C9      3ED      1F4            D7D8                0

     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
           0        0        0                0                0
"""


def test_ethernet_devices_are_added_up() -> None:
    assert parse_devices(DEVICES) == Packets(sent=1007, received=1009)


def test_cpus_are_added_up() -> None:
    assert parse_ipvs(IPVS) == Packets(sent=0x1F4, received=0x3ED)


def test_no_cpu() -> None:
    assert parse_ipvs("\n".join(IPVS.splitlines()[:2])) == Packets(0, 0)


def test_total_of_nothing() -> None:
    assert total([]) == Packets(0, 0)


def test_since() -> None:
    before = Reading(Packets(1, 2), Packets(3, 4), Packets(5, 6), Packets(7, 8))
    now = Reading(Packets(11, 12), Packets(3, 5), Packets(6, 6), Packets(7, 18))
    assert now.since(before) == Reading(Packets(10, 10), Packets(0, 1), Packets(1, 0), Packets(0, 10))
