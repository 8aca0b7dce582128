"""Network devices, against a scripted kernel; the rest is proved in the lab."""

import errno
from collections.abc import Iterable

import pytest

from kernelbal.kernel import links
from kernelbal.kernel.links import create_request, observe_links, parse_link, perform_links
from kernelbal.kernel.modules import ModuleLoad
from kernelbal.kernel.netlink import attribute, nested
from kernelbal.kernel.rtnetlink import IFINFO_MESSAGE, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK, U32
from kernelbal.model.network import Link, LinkState
from kernelbal.plan.action import Result
from kernelbal.plan.kinds.links import FALLBACK_DEVICES, EnsureLink, RemoveLink
from tests.unit.kernel.fake_netlink import Reply
from tests.unit.kernel.fake_rtnetlink import RouteRequest, link_payload, rtnetlink, with_links


def test_device_in_a_message() -> None:
    detail = parse_link(link_payload("tunl0", 7, flags=0x80, kind=b"ipip"))
    assert detail.link == Link("tunl0", 7, False, "ipip", 1500, "52:54:00:12:34:56")
    assert (detail.flags, detail.hardware_type) == (0x80, 1)


def test_hardware_has_no_kind() -> None:
    assert parse_link(link_payload("eth0", 2)).link == Link("eth0", 2, True, "", 1500, "52:54:00:12:34:56")


@pytest.mark.parametrize("address", [b"", bytes(4), bytes(16)])
def test_end_of_a_tunnel_is_no_hardware_address(address: bytes) -> None:
    data = IFINFO_MESSAGE.pack(0, 768, 4, 1, 0) + attribute(3, b"tunl0\0") + attribute(1, address)
    assert parse_link(data).link.hardware_address == ""


def test_every_device_is_observed() -> None:
    socket, fake = rtnetlink(with_links(lambda _: [], "lo", "eth0"))
    assert [(link.name, link.ifindex) for link in observe_links(socket)] == [("lo", 1), ("eth0", 2)]
    assert attribute(29, U32.pack(8)) in fake.asked[0].payload  # counters left out


def test_request_to_create_names_kind_and_size() -> None:
    assert create_request(LinkState("vip0", "dummy", 1400)) == (
        IFINFO_MESSAGE.pack(0, 0, 0, 1, 1)
        + attribute(3, b"vip0\0")
        + attribute(4, U32.pack(1400))
        + nested(18, attribute(1, b"dummy"))
    )


def no_such_device(request: RouteRequest) -> Iterable[Reply]:
    return request.verdict(errno.ENODEV)


@pytest.mark.parametrize("name", FALLBACK_DEVICES)
def test_fallback_device_is_left_to_its_module(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    loaded: list[str] = []

    def load(module: str) -> ModuleLoad:
        loaded.append(module)
        return ModuleLoad(module, loaded=False)

    monkeypatch.setattr(links, "load_module", load)
    socket, fake = rtnetlink(no_such_device)
    (outcome,) = perform_links(socket, [EnsureLink(LinkState(name, "ipip"))])
    assert loaded == [FALLBACK_DEVICES[name]]
    assert {request.kind for request in fake.asked} == {RTM_GETLINK}
    assert (outcome.result, outcome.errno) == (Result.FAILED, errno.ENODEV)
    assert outcome.hint == f"modprobe {FALLBACK_DEVICES[name]}"


def test_fallback_device_that_its_module_brings_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    there = False

    def load(module: str) -> ModuleLoad:
        nonlocal there
        there = True
        return ModuleLoad(module, loaded=True)

    def answering(request: RouteRequest) -> Iterable[Reply]:
        if request.kind != RTM_GETLINK:
            return request.verdict()
        return (
            request.answer(link_payload("tunl0", 4, flags=0, kind=b"ipip"))
            if there
            else no_such_device(request)
        )

    monkeypatch.setattr(links, "load_module", load)
    socket, fake = rtnetlink(answering)
    (outcome,) = perform_links(socket, [EnsureLink(LinkState("tunl0", "ipip"))])
    assert outcome.result is Result.DONE
    assert fake.asked[-1].kind == RTM_NEWLINK
    assert fake.asked[-1].payload == IFINFO_MESSAGE.pack(0, 0, 4, 1, 1)


def test_device_that_must_exist_is_never_created() -> None:
    socket, fake = rtnetlink(no_such_device)
    (outcome,) = perform_links(socket, [EnsureLink(LinkState("eth9"))])
    assert outcome.message == "there is no such device"
    assert RTM_NEWLINK not in {request.kind for request in fake.asked}


@pytest.mark.parametrize(("name", "kind"), [("tunl0", RTM_NEWLINK), ("vip0", RTM_DELLINK)])
def test_fallback_device_is_switched_off_and_others_are_removed(name: str, kind: int) -> None:
    def answering(request: RouteRequest) -> Iterable[Reply]:
        return request.answer(link_payload(name, 4)) if request.kind == RTM_GETLINK else request.verdict()

    socket, fake = rtnetlink(answering)
    (outcome,) = perform_links(socket, [RemoveLink(name)])
    assert outcome.result is Result.DONE
    assert fake.asked[-1].kind == kind


@pytest.mark.parametrize("action", [RemoveLink("tunl0"), EnsureLink(LinkState("tunl0", "ipip"))])
def test_device_that_the_kernel_does_not_tell_is_not_missing(action: EnsureLink | RemoveLink) -> None:
    socket, fake = rtnetlink(lambda request: request.verdict(errno.ENOMEM))
    (outcome,) = perform_links(socket, [action])
    assert (outcome.result, outcome.errno) == (Result.FAILED, errno.ENOMEM)
    assert {request.kind for request in fake.asked} == {RTM_GETLINK}
