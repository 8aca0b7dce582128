"""Which back end is taken, and what is said when none can be."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from kernelbal.lab.backends.base import Backend, GuestCommand, Refusal, Streams, Up
from kernelbal.lab.backends.choose import all_backends, candidates, choose
from kernelbal.lab.errors import BackendUnavailable
from kernelbal.lab.names import BackendName


@dataclass
class Fake:
    name: str
    reason: str | None = None

    def refusal(self) -> Refusal | None:
        return Refusal(self.reason, "do this") if self.reason else None

    def run(self, command: GuestCommand, streams: Streams) -> int:
        raise NotImplementedError

    def up(self, topology: str, directory: Path) -> Up:
        raise NotImplementedError


def three(netns: str | None = None, uml: str | None = None, qemu: str | None = None) -> list[Backend]:
    return [Fake("netns", netns), Fake("uml", uml), Fake("qemu", qemu)]


def test_order_is_running_kernel_then_uml_then_qemu() -> None:
    assert [backend.name for backend in all_backends()] == ["netns", "uml", "qemu"]


@pytest.mark.parametrize(
    ("backends", "taken"),
    [
        (three(), "netns"),
        (three(netns="no"), "uml"),
        (three(netns="no", uml="no"), "qemu"),
    ],
)
def test_first_usable_is_taken(backends: list[Backend], taken: str) -> None:
    assert choose(BackendName.AUTO, backends).name == taken


def test_wanted_one_is_taken_though_another_comes_first() -> None:
    assert choose(BackendName.QEMU, three()).name == "qemu"


def test_wanted_one_is_not_replaced() -> None:
    with pytest.raises(BackendUnavailable, match="uml: not built"):
        choose(BackendName.UML, three(uml="not built"))


def test_every_reason_is_given() -> None:
    with pytest.raises(BackendUnavailable) as caught:
        choose(BackendName.AUTO, three("no root", "not built", "not installed"))
    for part in ("netns: no root (do this)", "uml: not built", "qemu: not installed"):
        assert part in caught.value.message


def test_candidates_keep_the_order_and_the_reasons() -> None:
    shown = [(each.backend.name, str(each.refusal)) for each in candidates(three(netns="no root"))]
    assert shown == [("netns", "no root (do this)"), ("uml", "None"), ("qemu", "None")]
