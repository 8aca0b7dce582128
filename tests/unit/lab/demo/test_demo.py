"""The demo's parts, without a kernel."""

import os
import select as polling
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from kernelbal.config.load import load_node, load_site
from kernelbal.lab.backends.base import GuestCommand
from kernelbal.lab.demo import scenarios, stage, visits
from kernelbal.lab.demo.counters import Packets, Reading, parse_devices, parse_ipvs, total
from kernelbal.lab.demo.events import (
    AnswerRow,
    Claim,
    CommandRan,
    Doing,
    Event,
    Failure,
    Finished,
    KernelFound,
    PacketRow,
    ScenarioBegun,
    ScenarioEnded,
    ServiceTried,
    decode,
    encode,
)
from kernelbal.lab.demo.names import REQUESTS, ScenarioName
from kernelbal.lab.demo.outside import run_demo, select_backend
from kernelbal.lab.demo.scenarios import SCENARIOS, Scenario, checkout, select
from kernelbal.lab.demo.snapshot import Fact, Snapshot, counts, differences
from kernelbal.lab.demo.visits import visit
from kernelbal.lab.errors import BackendUnavailable, GuestFailed, LabError
from kernelbal.lab.names import BackendName
from kernelbal.lab.namespaces import Host, NamespaceLab
from kernelbal.lab.process import Completed
from kernelbal.lab.topology import Role, load_topology
from kernelbal.lab.traffic import HttpAnswer
from kernelbal.model.choices import ForwardingName, Scheduler
from kernelbal.model.site import Site
from tests.support.fake_backend import FakeBackend

# --- packet counters are read from the kernel's own tables ---


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


# --- events survive the way out of the guest; nothing else passes for one ---


TRIED = ServiceTried(
    service="web",
    url="http://10.0.0.80/",
    scheduler="wrr",
    wanted=200,
    asked=9,
    answers=(AnswerRow(real_server="rs1", weight=5, expected=100.0, answers=6, clients=("10.0.0.1",)),),
    failures=(Failure(reason="no answer in time", count=3),),
    packets=(PacketRow(host="client", sent=30, received=20),),
    ipvs_in=25,
    ipvs_out=20,
)
EVENTS: tuple[Event, ...] = (
    KernelFound(release="6.12.0", ipvs="IP Virtual Server version 1.2.1 (size=4096)"),
    ScenarioBegun(name="nat", title="NAT", topology="two-arm", site="examples/nat.yaml"),
    Doing(text="running"),
    CommandRan(command="kernelbal plan", lines=("+ ä", "- “b”\n"), status=0),
    TRIED,
    Claim(text="all is well", ok=True, seen="it is"),
    ScenarioEnded(name="nat", elapsed_s=1.5),
    Finished(elapsed_s=6.0),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.event)
def test_event_survives(event: Event) -> None:
    line = encode(event)
    assert line.count("\n") == 1
    assert decode(line) == event


@pytest.mark.parametrize(
    "line", ["", "Kernel panic", "{}", '{"event": "other"}', '{"event": "doing", "text": "a", "more": 1}']
)
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(GuestFailed, match="something else than events"):
        decode(line)


# --- naming a scenario costs nothing ---


def test_import_is_light() -> None:
    code = "import sys, kernelbal.lab.demo.names; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pydantic", "pyroute2", "yaml", "asyncio"} & set(done.stdout.split()) == set()


def test_requests_come_out_even() -> None:
    assert REQUESTS == 200
    assert REQUESTS % (5 + 3 + 2) == 0


# --- the demo is started in a back end, followed while it runs, and ended with whoever follows it ---


WORKING, DONE = Doing(text="working"), Finished(elapsed_s=1.0)
WAIT_S = 20.0


def saying(*events: Event, status: int = 0) -> FakeBackend:
    """A back end whose guest says these events and ends."""

    def work(command: GuestCommand, output: int) -> int:
        for event in events:
            os.write(output, encode(event).encode())
        return status

    return FakeBackend(work=work)


def test_auto_takes_the_first_usable_and_says_why_not_the_others() -> None:
    first, second, third = FakeBackend("netns", "no IPVS"), FakeBackend("uml"), FakeBackend("qemu", "no")
    chosen = select_backend(BackendName.AUTO, [first, second, third])
    assert chosen.backend is second
    assert [(c.backend.name, str(c.refusal)) for c in chosen.passed_over] == [("netns", "no IPVS")]


def test_wanted_back_end_is_taken_without_a_word_about_others() -> None:
    first, second = FakeBackend("netns"), FakeBackend("uml")
    chosen = select_backend(BackendName.UML, [first, second])
    assert chosen.backend is second
    assert chosen.passed_over == ()


def test_no_back_end() -> None:
    with pytest.raises(BackendUnavailable, match="no IPVS"):
        select_backend(BackendName.AUTO, [FakeBackend("netns", "no IPVS")])


def test_events_come_through() -> None:
    assert list(run_demo(saying(WORKING, DONE), [], 200)) == [WORKING, DONE]


def test_command() -> None:
    backend = saying(DONE)
    list(run_demo(backend, [ScenarioName.DSR, ScenarioName.NAT], 50))
    (command,) = backend.commands
    assert command.argv[1:] == ("-m", "kernelbal.lab.demo", "--requests=50", "dsr", "nat")
    assert (command.cwd / "examples").is_dir()
    assert not command.virtual_time


def test_events_come_while_the_guest_runs() -> None:
    seen = threading.Event()

    def work(command: GuestCommand, output: int) -> int:
        os.write(output, encode(WORKING).encode())
        assert seen.wait(WAIT_S)
        os.write(output, encode(DONE).encode())
        return 0

    events = run_demo(FakeBackend(work=work), [], 200)
    assert next(events) == WORKING
    seen.set()
    assert list(events) == [DONE]


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (saying(WORKING), "broke off in the guest, with exit status 0"),
        (saying(WORKING, DONE, status=3), "broke off in the guest, with exit status 3"),
        (saying(), "broke off"),
    ],
)
def test_guest_that_breaks_off(backend: FakeBackend, words: str) -> None:
    with pytest.raises(GuestFailed, match=words):
        list(run_demo(backend, [], 200))


def cannot_start(command: GuestCommand, output: int) -> int:
    raise GuestFailed("no memory")


def panics(command: GuestCommand, output: int) -> int:
    return os.write(output, b"Kernel panic\n") * 0


@pytest.mark.parametrize(("work", "words"), [(cannot_start, "no memory"), (panics, "Kernel panic")])
def test_guest_that_does_something_else(work: Callable[[GuestCommand, int], int], words: str) -> None:
    with pytest.raises(GuestFailed, match=words):
        list(run_demo(FakeBackend(work=work), [], 200))


def test_guest_is_told_to_stop_when_nobody_listens() -> None:
    told = threading.Event()

    def work(command: GuestCommand, output: int) -> int:
        os.write(output, encode(WORKING).encode())
        assert command.stop_descriptor is not None
        if polling.select([command.stop_descriptor], [], [], WAIT_S)[0]:
            told.set()
        return 0

    events = run_demo(FakeBackend(work=work), [], 200)
    next(events)
    events.close()
    assert told.is_set()


# --- scenarios ---


BY_NAME = [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS]


def test_every_name_is_played_once() -> None:
    assert [scenario.name for scenario in SCENARIOS] == list(ScenarioName)


def test_select() -> None:
    assert select([]) == SCENARIOS
    chosen = select([ScenarioName.TUNNEL, ScenarioName.NAT, ScenarioName.NAT])
    assert [scenario.name for scenario in chosen] == ["nat", "tunnel"]


@pytest.mark.parametrize("scenario", BY_NAME)
def test_example_fits_topology(scenario: Scenario) -> None:
    """Real servers of the example are those of the topology; the node's devices are the director's."""
    topology = load_topology(scenario.topology)
    (director,) = topology.with_role(Role.DIRECTOR)
    examples = checkout() / "examples"
    node = load_node((examples / scenario.node).read_bytes(), scenario.node)
    assert set(node.interfaces.values()) <= {link.device for link in director.links}
    site = load_site((examples / scenario.site).read_bytes(), scenario.site)
    hosts = [
        {i.ip.packed for link in host.links for i in link.addresses}
        for host in topology.with_role(Role.REAL_SERVER)
    ]
    for service in site.virtual_services:
        assert all(server.address in own for server, own in zip(service.real_servers, hosts, strict=True)), (
            service.name
        )


@pytest.mark.parametrize("scenario", BY_NAME)
def test_example_has_both_families_and_fair_schedulers(scenario: Scenario) -> None:
    site = load_site((checkout() / "examples" / scenario.site).read_bytes(), scenario.site)
    assert sorted(len(service.address) for service in site.virtual_services) == [4, 16]
    assert {service.scheduler for service in site.virtual_services} == {Scheduler.RR, Scheduler.WRR}


@pytest.mark.parametrize("scenario", BY_NAME)
def test_example_is_of_the_method(scenario: Scenario) -> None:
    site = load_site((checkout() / "examples" / scenario.site).read_bytes(), scenario.site)
    methods = {(service.forwarding, service.one_armed) for service in site.virtual_services}
    assert methods == {
        {
            ScenarioName.NAT: (ForwardingName.NAT, False),
            ScenarioName.ONE_ARMED: (ForwardingName.NAT, True),
            ScenarioName.DSR: (ForwardingName.DSR, False),
            ScenarioName.TUNNEL: (ForwardingName.TUNNEL, False),
            ScenarioName.DAEMON: (ForwardingName.NAT, False),
        }[scenario.name]
    }


def test_missing_examples_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios, "EXAMPLES", "no-examples")
    with pytest.raises(LabError, match="from a checkout"):
        checkout()


# --- A director is compared with what it was before; nothing that is gone, new or different is missed ---


HELD = Fact("address", "2: eth0 inet 10.0.0.1/24")
CONNTRACK_OFF, CONNTRACK_ON = (Fact("sysctl", "net/ipv4/vs/conntrack", value) for value in "01")
FORWARD = Fact("sysctl", "net/ipv4/ip_forward", "1")
BEFORE: Snapshot = frozenset({HELD, CONNTRACK_OFF, FORWARD})


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (BEFORE, []),
        (BEFORE - {CONNTRACK_OFF} | {CONNTRACK_ON},
         ["- sysctl net/ipv4/vs/conntrack = 0", "+ sysctl net/ipv4/vs/conntrack = 1"]),
        (BEFORE | {Fact("address", "2: eth0 inet 10.0.0.80/32")}, ["+ address 2: eth0 inet 10.0.0.80/32"]),
        (BEFORE - {HELD}, ["- address 2: eth0 inet 10.0.0.1/24"]),
        (BEFORE - {FORWARD}, ["- sysctl net/ipv4/ip_forward = 1"]),
        # A module that was loaded meanwhile brings sysctls of its own
        (BEFORE | {Fact("sysctl", "net/netfilter/nf_conntrack_tcp_loose", "1")}, []),
    ],
)  # fmt: skip
def test_differences(after: Snapshot, found: list[str]) -> None:
    assert differences(BEFORE, after) == found


def test_counts() -> None:
    assert counts(BEFORE, ("sysctl", "address")) == "2 sysctls, 1 addresses"


# --- what is run on a director is told, whatever became of it ---


class Director:
    """A director on which every program fails."""

    name = "director"

    @property
    def director(self) -> "Director":
        return self

    def run(self, argv: list[str], **options: object) -> Completed:
        self.argv, self.options = argv, options
        return Completed(argv, 3, "out\n", "err\n")


def test_command_is_announced_run_and_told() -> None:
    events: list[Event] = []
    lab = Director()
    where = stage.Stage(
        SCENARIOS[0], cast("NamespaceLab", lab), Site(), Path("/state"), requests=1, emit=events.append
    )
    ran = stage.kernelbal(where, "plan", *where.documents[:1], brief=True)
    assert ran == CommandRan(
        command="kernelbal plan examples/nat.yaml", lines=("out", "err"), status=3, brief=True
    )
    assert events == [Doing(text="running kernelbal plan examples/nat.yaml on director"), ran]
    assert lab.argv[1:] == ["-m", "kernelbal", "plan", "examples/nat.yaml"]
    environment = cast("dict[str, str]", lab.options["env"])
    assert environment["KERNELBAL_STATE_DIR"] == "/state"


def test_other_hosts_have_a_state_directory_of_their_own() -> None:
    events: list[Event] = []
    other = Director()
    other.name = "rs1"
    where = stage.Stage(
        SCENARIOS[0], cast("NamespaceLab", Director()), Site(), Path("/state"), requests=1, emit=events.append
    )
    ran = stage.kernelbal(where, "realserver", "verify", brief=True, host=cast("Host", other))
    assert ran.host == "rs1"
    assert cast("dict[str, str]", other.options["env"])["KERNELBAL_STATE_DIR"] == "/state/rs1"


# --- requests are counted by who answered; failures are counted by reason, and soon end it ---


NOBODY = cast(Host, None)
RS1, RS2 = HttpAnswer("rs1", "10.0.0.100"), HttpAnswer("rs2", "10.0.0.100")


def answering(monkeypatch: pytest.MonkeyPatch, outcomes: list[HttpAnswer | OSError]) -> Iterator[object]:
    """Let requests have these outcomes, in turn and for ever."""
    left = iter(outcomes * 100)

    def ask(host: Host, address: str) -> HttpAnswer:
        outcome = next(left)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    monkeypatch.setattr(visits, "http_ask", ask)
    return left


def test_answers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [RS1, RS2, RS1, RS1._replace(client="10.0.0.1")])
    found = visit(NOBODY, "10.0.0.80", 8)
    assert (found.wanted, found.asked, found.failures) == (8, 8, {})
    assert (found.answers_of("rs1"), found.answers_of("rs2"), found.answers_of("rs3")) == (6, 2, 0)
    assert found.clients_of("rs1") == ("10.0.0.1", "10.0.0.100")
    assert found.clients_of("rs3") == ()


def test_failures_are_counted_by_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = ConnectionRefusedError(111, "Connection refused")
    answering(monkeypatch, [RS1] * 5 + [TimeoutError(), refused, ConnectionResetError("cut")])
    found = visit(NOBODY, "10.0.0.80", 8)
    assert found.failures == {"no answer in time": 1, "connection refused": 1, "cut": 1}
    assert found.asked == 8


def test_third_failure_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [RS1, TimeoutError()])
    found = visit(NOBODY, "10.0.0.80", 200)
    assert (found.wanted, found.asked) == (200, 6)
    assert found.answers.total() == 3
