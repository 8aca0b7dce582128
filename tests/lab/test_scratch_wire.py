"""A wire to a device: what is sent arrives there, and only what is named comes back instead of going out."""

import pytest

from kernelbal.errors import KernelError
from kernelbal.kernel.links import observe_links
from kernelbal.kernel.neighbour_frames import arp_request
from kernelbal.kernel.probe_frames import ARP_REPLY, ArpPacket, parse_frame
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.kernel.scratch_wire import (
    NEAR_DEVICE,
    VethAddresses,
    exclusive,
    remove_leftovers,
    scratch_wire,
)
from kernelbal.kernel.traffic_control import FlowerKeys, to_hardware
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.model.address import parse_address

pytestmark = pytest.mark.needs_ipvs

DOOR, PROBE = bytes.fromhex("024b42000000"), bytes.fromhex("024b42000001")
OWN = parse_address("10.0.0.11")


def answers(host: Host, *captured: FlowerKeys) -> list[object]:
    with host.inside(), RtNetlink.open() as rtnetlink, exclusive():
        links = {link.name: link for link in observe_links(rtnetlink)}
        with scratch_wire(
            rtnetlink, links["eth0"], [links["eth0"]], captured, VethAddresses(DOOR, PROBE)
        ) as wire:
            wire.send(arp_request(PROBE, OWN))
            heard = [parse_frame(frame) for frame in wire.listen(0.2)]
        assert remove_leftovers(rtnetlink, observe_links(rtnetlink)) == ()
    assert NEAR_DEVICE not in host.run(["ip", "link"]).stdout
    return heard


def test_answer_comes_back(lab: LabFactory) -> None:
    server = lab("one-arm")["rs1"]
    (seen,) = answers(server, to_hardware(PROBE))
    assert isinstance(seen, ArpPacket)
    assert (seen.operation, seen.sender) == (ARP_REPLY, OWN)


def test_what_is_not_named_goes_out(lab: LabFactory) -> None:
    assert answers(lab("one-arm")["rs1"]) == []


def test_one_at_a_time(lab: LabFactory) -> None:
    made = lab("one-arm")
    with made["rs1"].inside(), exclusive():
        with pytest.raises(KernelError, match="another verification"), exclusive():
            pass
        with made["rs2"].inside(), exclusive():
            pass
