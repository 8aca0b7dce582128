"""Answers of neighbours: whose they are."""

from collections.abc import Collection

from kernelbal.health.verification import Answerer
from kernelbal.health.verify_report import Neighbour
from kernelbal.kernel.hardware_vendor import LOCALLY_ADMINISTERED
from kernelbal.kernel.links import IFF_UP, LinkDetail
from kernelbal.kernel.neighbours import Claims
from kernelbal.model.address import Address, parse_address
from kernelbal.runtime.verify.neighbourhood import Segment, neighbours_on
from tests.unit.plan.samples import link

DEVICE = LinkDetail(link("eth0"), IFF_UP, 1)
WEB, DNS = parse_address("10.0.0.80"), parse_address("10.0.0.53")
ONE, TWO = parse_address("10.0.0.11"), parse_address("10.0.0.12")
OWN = "02:00:00:00:00:01"


class Wire:
    """A segment: who answers for what, and what was asked."""

    def __init__(self, answers: Claims) -> None:
        self.answers = answers
        self.asked: list[set[Address]] = []

    def ask(self, device: LinkDetail, wanted: Collection[Address]) -> Claims:
        assert device is DEVICE
        self.asked.append(set(wanted))
        return {address: self.answers[address] for address in wanted if address in self.answers}

    def neighbours(self) -> dict[Address, tuple[Neighbour, ...]]:
        return neighbours_on(Segment(DEVICE, {WEB: {ONE, TWO}, DNS: {TWO}}), {OWN}, self.ask)


def answerer(mac: str) -> Answerer:
    return Answerer(mac, LOCALLY_ADMINISTERED)


def test_this_machine_and_virtual_routers_are_no_strangers() -> None:
    wire = Wire({WEB: (OWN, "00:00:5e:00:01:07"), DNS: ("00:00:5e:00:02:07",)})
    assert wire.neighbours() == {}
    assert wire.asked == [{WEB, DNS}]  # real servers are asked only when somebody is to be named


def test_an_answer_is_that_of_the_real_server_with_the_same_hardware() -> None:
    wire = Wire({WEB: ("02:00:00:00:00:12", "02:00:00:00:00:99"), TWO: ("02:00:00:00:00:12",)})
    assert wire.neighbours() == {
        WEB: (Neighbour(answerer("02:00:00:00:00:12"), TWO), Neighbour(answerer("02:00:00:00:00:99")))
    }
    assert wire.asked[1] == {ONE, TWO}


def test_a_real_server_of_another_service_is_a_stranger() -> None:
    wire = Wire({DNS: ("02:00:00:00:00:11",), ONE: ("02:00:00:00:00:11",)})
    assert wire.neighbours() == {DNS: (Neighbour(answerer("02:00:00:00:00:11")),)}
