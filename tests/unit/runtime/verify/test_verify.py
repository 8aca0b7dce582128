"""A verification from the director, without a kernel."""

import errno
from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from kernelbal.errors import NotConverged
from kernelbal.health.path_marks import VERIFY_MARK_BASE
from kernelbal.health.verification import Answerer
from kernelbal.health.verify_probes import plan_verification, verify_site
from kernelbal.health.verify_report import Neighbour
from kernelbal.kernel.hardware_vendor import LOCALLY_ADMINISTERED
from kernelbal.kernel.links import IFF_UP, LinkDetail
from kernelbal.kernel.neighbours import Claims
from kernelbal.model.address import Address, parse_address
from kernelbal.model.ipvs import ServiceKey
from kernelbal.model.nft import NftTable
from kernelbal.model.policy_route import ANYWHERE, NextHop, Rule, TableRouteKey
from kernelbal.plan.kinds.service_actions import AddService, RemoveService
from kernelbal.plan.kinds.services import SERVICES
from kernelbal.plan.kinds.sysctls import SYSCTLS, WriteSysctl
from kernelbal.runtime.verify.neighbourhood import Segment, neighbours_on
from kernelbal.runtime.verify.paths import ProbePaths
from tests.support.builders import by_mark, held, link, node, place, service, virtual
from tests.support.fake_kernel import FakeKernel
from tests.support.fake_store import MemoryStore
from tests.unit.health.scene import site_of

# --- answers of neighbours: whose they are ---


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


# --- probe paths through virtual addresses come and go, and nothing else does ---


ACCEPT, FILTER = "net/ipv4/conf/eth0/accept_local", "net/ipv4/conf/eth0/rp_filter"
MINE, FOREIGN = service("192.0.2.10", 80), by_mark(0x4C000007)
STRAY = by_mark(VERIFY_MARK_BASE + 7)
TABLE = NftTable()
RULE = Rule(2, 500, 300, ANYWHERE[2], 0, ANYWHERE[2], 0)
KEY, HOP = TableRouteKey(300, ANYWHERE[2], 0), NextHop(None, "eth0")


@dataclass
class Bench:
    """A director on which a daemon has done its work."""

    site: object = None
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.kernel = FakeKernel(
            services={MINE: virtual(), FOREIGN: virtual()},
            addresses={place("eth0", "192.0.2.10"): held(place("eth0", "192.0.2.10"), ours=True)},
            links={"eth0": link("eth0")},
            sysctls={ACCEPT: "0", FILTER: "0", "net/ipv4/conf/all/rp_filter": "0"},
            tables={TABLE.title: TABLE},
            rules={RULE},
            table_routes={KEY: HOP},
        )
        self.verified = verify_site(site_of(forwarding="dsr"), {"web"})
        self.plan = plan_verification(self.verified)
        self.probe_paths = ProbePaths(self.kernel, self.store, lambda: 1000.0)

    def held(self):  # noqa: ANN201 - a context manager
        return self.probe_paths.held(self.verified, node(outside="eth0"), self.plan)

    @property
    def marks(self) -> set[int]:
        return {key.mark for key in self.kernel.services if key.mark}

    def is_as_before(self) -> bool:
        found = self.kernel
        return (
            found.services.keys() == {MINE, FOREIGN}
            and (found.sysctls[ACCEPT], found.sysctls[FILTER]) == ("0", "0")
            and len(found.addresses) == 1
            and found.nft is TABLE
            and (found.rules, found.table_routes) == ({RULE}, {KEY: HOP})
        )


def test_ways_are_there_for_the_block_alone() -> None:
    bench = Bench()
    with bench.held():
        assert bench.marks == {FOREIGN.mark} | {path.mark for path in bench.plan.paths}
        assert bench.kernel.sysctls[ACCEPT] == "1"
    assert bench.is_as_before()
    assert bench.store.load().of(SERVICES).keys == frozenset()
    assert bench.store.load().of(SYSCTLS) == {}


def test_ways_go_whatever_ends_the_block() -> None:
    bench = Bench()
    with pytest.raises(KeyboardInterrupt), bench.held():
        raise KeyboardInterrupt
    assert bench.is_as_before()


def test_what_a_killed_run_left_is_known_by_its_record() -> None:
    bench = Bench()
    killed = bench.held()
    killed.__enter__()
    assert not bench.is_as_before()
    again = Bench(store=bench.store)
    again.kernel.services, again.kernel.sysctls = bench.kernel.services, bench.kernel.sysctls
    with again.held():
        pass
    assert again.is_as_before()


def test_what_has_lost_its_record_is_known_by_its_mark() -> None:
    bench = Bench()
    bench.kernel.services[STRAY] = virtual()
    with bench.held():
        assert STRAY not in bench.kernel.services
    assert bench.is_as_before()


def test_a_mark_that_the_site_names_is_the_sites() -> None:
    bench = Bench()
    bench.kernel.services[STRAY] = virtual()
    bench.verified = verify_site(
        site_of(f"mark: {STRAY.mark}\n    port_following: true", forwarding="dsr"), {}
    )
    bench.plan = plan_verification(bench.verified)
    with bench.held():
        pass
    assert STRAY in bench.kernel.services


def test_sysctls_that_the_daemon_has_set_stay() -> None:
    bench = Bench()
    bench.kernel.sysctls[ACCEPT] = "1"
    with bench.held():
        pass
    assert bench.kernel.sysctls[ACCEPT] == "1"
    assert not [action for action in bench.kernel.performed if isinstance(action, WriteSysctl)]


@pytest.mark.parametrize(
    ("kind", "message"), [(AddService, "cannot be made"), (RemoveService, "cannot be removed")]
)
def test_a_kernel_that_refuses_is_told(kind: type, message: str) -> None:
    bench = Bench()
    bench.kernel.refuse = lambda action: errno.EINVAL if isinstance(action, kind) else 0
    refused = f"the probe paths {message}: "
    with pytest.raises(NotConverged, match=refused), bench.held():
        pass


def test_the_scope_is_marks_of_verifications() -> None:
    bench = Bench()
    with bench.held():
        touched = {
            action.key for action in bench.kernel.performed if isinstance(action, AddService | RemoveService)
        }
    assert {key.mark & 0xFF000000 for key in touched} == {VERIFY_MARK_BASE}
    assert all(isinstance(key, ServiceKey) for key in touched)
