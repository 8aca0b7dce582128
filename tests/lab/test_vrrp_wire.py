"""Sockets of VRRP on a real segment."""

import select

import pytest

from kernelbal.errors import NotPermitted
from kernelbal.kernel import vrrp_wire
from kernelbal.kernel.links import read_link_details
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.kernel.vrrp_wire import VrrpWire
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.model.address import Address, parse_address
from kernelbal.vrrp.ip import IpPacket
from kernelbal.vrrp.packet import GROUPS, build_advertisement
from kernelbal.vrrp.receive import Verdict, judge_packet
from tests.lab.test_runtime_speaker import link_local
from tests.support.vrrp_packets import ADVERT, ADVERT6

pytestmark = pytest.mark.needs_root


def wire(host: Host, source: Address) -> VrrpWire:
    with host.inside():
        with RtNetlink.open() as rtnetlink:
            (ifindex,) = (
                each.link.ifindex for each in read_link_details(rtnetlink) if each.link.name == "eth0"
            )
        return VrrpWire.open("eth0", ifindex, source)


def packets(at: VrrpWire) -> list[IpPacket]:
    """What has come, as soon as something has."""
    ready, _, _ = select.select([at], (), (), 5.0)
    assert ready
    return list(at.receive())


@pytest.mark.parametrize("version", [4, 6])
def test_sent_and_received(lab: LabFactory, version: int) -> None:
    made = lab("one-arm")
    hosts = (made.director, made.real_servers[0])
    addresses = [parse_address("10.0.0.1"), parse_address("10.0.0.11")]
    if version == 6:
        addresses = [link_local(host) for host in hosts]
    advert = ADVERT if version == 4 else ADVERT6
    sender, receiver = (wire(host, address) for host, address in zip(hosts, addresses, strict=True))
    group = GROUPS[sender.family]
    for destination in (group, addresses[1]):
        payload = build_advertisement(advert, addresses[0], destination)
        sender.send(payload, destination)
        (packet,) = packets(receiver)
        assert packet == (sender.family, addresses[0], destination, 255, 112, payload)
        assert judge_packet(packet).verdict is Verdict.ACCEPT
    assert list(sender.receive()) == []
    sender.close()
    receiver.close()


def test_flood_is_read_in_portions(lab: LabFactory) -> None:
    made = lab("one-arm")
    sender = wire(made.director, parse_address("10.0.0.1"))
    receiver = wire(made.real_servers[0], parse_address("10.0.0.11"))
    for _ in range(vrrp_wire.PACKETS_AT_ONCE + 5):
        sender.send(b"", parse_address("10.0.0.11"))
    assert len(packets(receiver)) == vrrp_wire.PACKETS_AT_ONCE
    assert len(packets(receiver)) == 5
    sender.close()
    receiver.close()


def test_without_the_right_it_is_refused(lab: LabFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(vrrp_wire, "_set_up_v4", refuse)
    with pytest.raises(NotPermitted, match="cannot speak VRRP"):
        wire(lab("one-arm").director, parse_address("10.0.0.1"))
