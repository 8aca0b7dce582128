"""The types of the vocabulary check one value each."""

import pytest
from pydantic import ValidationError

from kernelbal.model.fields import DOCUMENT, InterfaceAddress
from kernelbal.model.node import Node
from kernelbal.model.site import Network, Site
from kernelbal.model.site.services import SourceIp, VirtualService
from kernelbal.model.units import ALL_PORTS, PortRange

WEB = {"name": "web", "address": "192.0.2.10", "ports": 80, "forwarding": "nat"}


@pytest.mark.parametrize(
    ("ports", "ranges"),
    [
        (80, (PortRange(80, 80),)),
        ("80", (PortRange(80, 80),)),
        ("80-90", (PortRange(80, 90),)),
        ([80, "443", "8000-8010"], (PortRange(80, 80), PortRange(443, 443), PortRange(8000, 8010))),
        ("all", (ALL_PORTS,)),
    ],
)
def test_ports_are_written_in_several_ways(ports: object, ranges: tuple[PortRange, ...]) -> None:
    assert VirtualService.model_validate({**WEB, "ports": ports}).ports == ranges


@pytest.mark.parametrize("ports", [[], None, True, 1.5, ["all"], [[80]], {"low": 1}])
def test_other_ports_are_refused(ports: object) -> None:
    with pytest.raises(ValidationError):
        VirtualService.model_validate({**WEB, "ports": ports})


def test_number_is_a_duration_in_code_but_not_in_a_document() -> None:
    assert SourceIp.model_validate({"timeout": 90.0}).timeout == 90.0
    with pytest.raises(ValidationError, match="has no unit"):
        SourceIp.model_validate({"timeout": 90.0}, context=DOCUMENT)


@pytest.mark.parametrize("value", ["yes", 1, "true", None])
def test_switch_is_true_or_false(value: object) -> None:
    with pytest.raises(ValidationError):
        VirtualService.model_validate({**WEB, "one_armed": value})


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "a\n", "x" * 64, "ä"])
def test_name_is_plain(name: str) -> None:
    with pytest.raises(ValidationError):
        VirtualService.model_validate({**WEB, "name": name})


@pytest.mark.parametrize("device", ["", ".", "..", "a/b", "a b", "a:1", "x" * 16])
def test_device_is_one_that_the_kernel_takes(device: str) -> None:
    with pytest.raises(ValidationError):
        Node.model_validate({"name": "a", "interfaces": {"outside": device}})


@pytest.mark.parametrize("value", [True, 1.5, None, "a\nb", "x" * 65, []])
def test_sysctl_is_a_number_or_one_short_line(value: object) -> None:
    with pytest.raises(ValidationError):
        Site.model_validate({"kernel": {"sysctls": {"conntrack": value}}})


def test_shared_address_keeps_its_prefix_and_knows_its_subnet() -> None:
    network = Network.model_validate({"shared_addresses": ["192.0.2.10/24"]})
    assert network.shared_addresses == (InterfaceAddress(address=bytes([192, 0, 2, 10]), prefix=24),)
    assert network.shared_addresses[0].contains(bytes([192, 0, 2, 99]))
    assert not network.shared_addresses[0].contains(bytes([192, 0, 3, 99]))


@pytest.mark.parametrize(
    "text", ["192.0.2.1", "192.0.2.1/0", "192.0.2.1/33", "192.0.2.1/x", "192.0.2.1/", "::1/129"]
)
def test_shared_address_needs_a_prefix(text: str) -> None:
    with pytest.raises(ValidationError):
        Network.model_validate({"shared_addresses": [text]})


def test_documents_do_not_change() -> None:
    service = VirtualService.model_validate(WEB)
    with pytest.raises(ValidationError, match="frozen"):
        service.name = "other"  # type: ignore[misc]  # what must not be possible
