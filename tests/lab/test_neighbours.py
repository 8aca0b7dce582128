"""Who answers for an address on a real segment."""

import pytest

from kernelbal.errors import NotPermitted
from kernelbal.kernel import neighbours
from kernelbal.kernel.links import LinkDetail, read_link_details
from kernelbal.kernel.neighbours import address_holders
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.model.address import parse_address

pytestmark = pytest.mark.needs_root

WANTED = ("10.0.0.11", "10.0.0.12", "fd00::11", "10.0.0.80", "fd00::80", "10.0.0.99", "fd00::99")


def device(host: Host, name: str = "eth0") -> LinkDetail:
    with host.inside(), RtNetlink.open() as rtnetlink:
        return next(each for each in read_link_details(rtnetlink) if each.link.name == name)


def hardware(host: Host) -> str:
    return device(host).link.hardware_address


def test_every_holder_is_found_and_no_neighbour_table_changes(lab: LabFactory) -> None:
    made = lab("one-arm")
    first, second, third = made.real_servers
    for host in (first, third):
        host.run(["ip", "address", "add", "10.0.0.80/32", "dev", "eth0"])
        host.run(["ip", "address", "add", "fd00::80/128", "dev", "eth0", "nodad"])
    with made.director.inside():
        found = address_holders(device(made.director), [parse_address(text) for text in WANTED])
    claims = {address: set(macs) for address, macs in found.items()}
    both = {hardware(first), hardware(third)}
    assert claims == {
        parse_address("10.0.0.11"): {hardware(first)},
        parse_address("10.0.0.12"): {hardware(second)},
        parse_address("fd00::11"): {hardware(first)},
        parse_address("10.0.0.80"): both,
        parse_address("fd00::80"): both,
    }
    assert "10.0.0.1" not in second.run(["ip", "neighbour"]).stdout.split()


def test_an_address_of_this_machine_is_queried_of_others_alone(lab: LabFactory) -> None:
    made = lab("one-arm")
    with made.director.inside():
        own = [parse_address("10.0.0.1"), parse_address("fd00::1")]
        assert address_holders(device(made.director), own) == {}


def test_devices_without_neighbours_are_not_queried(lab: LabFactory) -> None:
    made = lab("one-arm")
    with made.director.inside():
        assert address_holders(device(made.director, "lo"), [parse_address("127.0.0.1")]) == {}


def test_without_the_right_to_query_it_is_refused(lab: LabFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    made = lab("one-arm")

    def refuse(_: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(neighbours, "_arp_socket", refuse)
    with made.director.inside(), pytest.raises(NotPermitted, match="cannot query neighbours"):
        address_holders(device(made.director), [parse_address("10.0.0.11")])
