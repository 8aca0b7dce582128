from kernelbal.model.network import AddressKey
from kernelbal.plan.explain.arrival import arrival
from kernelbal.plan.explain.query import FactSource, KernelView
from kernelbal.plan.explain.result import StepVerdict, TraceStep
from kernelbal.plan.reachability import RouteTable
from tests.unit.plan.explain.scene import VIRTUAL, address, query, view


def step(seen: KernelView, virtual: str = "192.0.2.10") -> TraceStep:
    return arrival(query(virtual=address(virtual)), seen, RouteTable(seen.routes))


def test_local() -> None:
    found = step(view())
    assert (found.verdict, found.source) == (StepVerdict.LOCAL, FactSource.KERNEL)
    assert "192.0.2.10 is an address of this director, on eth0" in found.reason


def test_site_file_will_make_it_local() -> None:
    assert "will be an address" in step(view(source=FactSource.SITE_FILE)).reason


def test_wanted_but_not_there() -> None:
    found = step(view(addresses=(), wanted_addresses=(AddressKey("eth0", VIRTUAL, 32),)))
    assert (found.verdict, found.source) == (StepVerdict.ELSEWHERE, FactSource.SITE_FILE)
    assert "kernelbal apply" in found.reason


def test_somebody_elses_on_the_same_segment() -> None:
    found = step(view(), "192.0.2.99")
    assert found.verdict is StepVerdict.ELSEWHERE
    assert "answers ARP for it on the segment of eth0" in found.reason


def test_behind_a_gateway() -> None:
    assert "through 192.0.2.254 on eth0" in step(view(), "203.0.113.1").reason


def test_no_route() -> None:
    assert "no route" in step(view(routes=()), "203.0.113.1").reason
