"""Whole explanations: which steps there are, and what becomes of the connection."""

from dataclasses import replace

import pytest

from kernelbal.model.ipvs import Connection, Forwarding, Protocol
from kernelbal.model.network import AddressKey
from kernelbal.plan.classifier import build_table
from kernelbal.plan.explain.engine import arrival, explain, service_of
from kernelbal.plan.explain.query import FactSource, KernelView
from kernelbal.plan.explain.result import (
    Availability,
    Certainty,
    ExplainOutcome,
    Explanation,
    StepTopic,
    StepVerdict,
)
from kernelbal.plan.reachability import RouteTable
from tests.unit.plan.explain.scene import (
    CLIENT,
    PERSISTENT,
    VIRTUAL,
    address,
    attributes,
    counters,
    mark_key,
    query,
    real_server,
    service,
    service_key,
    view,
)

MARK = 0x4B000001
ONE_ARMED = build_table({(VIRTUAL, Protocol.TCP, 80, 80): MARK}, frozenset({MARK}))
LOADED = {service_key(): {real_server(11): counters(9), real_server(12): counters(1)}}


def verdicts(explanation: Explanation) -> list[StepVerdict]:
    return [step.verdict for step in explanation.steps]


def wlc(**changes: object) -> KernelView:
    return view(service("wlc", 1, 1, 0), counters=LOADED, **changes)


def test_steps_come_in_the_order_of_the_packet() -> None:
    topics = [
        topic for topic in StepTopic if topic is not StepTopic.TRANSLATION
    ]  # nothing is translated here
    assert [step.topic for step in explain(query(), wlc()).steps] == topics


def test_forwarded_by_nat() -> None:
    found = explain(query(), wlc(service_names={service_key(): "web"}))
    assert (found.outcome, found.real_server, found.certainty) == (
        ExplainOutcome.FORWARDED,
        real_server(12),
        Certainty.NOW,
    )
    assert verdicts(found) == [
        StepVerdict.LOCAL,
        StepVerdict.UNMARKED,
        StepVerdict.MATCHED,
        StepVerdict.OFF,
        StepVerdict.LEADING,
        StepVerdict.NAT,
        StepVerdict.VIA_DIRECTOR,
    ]
    assert (found.service, found.service_name) == (service_key(), "web")
    assert found.answer == "goes to real server 10.0.0.12:80, as of now"


def test_candidates_name_who_is_out_and_why() -> None:
    candidates = {one.key: one for one in explain(query(), wlc()).candidates}
    assert candidates[real_server(12)].chosen
    assert not candidates[real_server(11)].chosen
    assert candidates[real_server(11)].counters.active == 9
    quiesced = candidates[real_server(13)]
    assert (quiesced.availability, quiesced.why) == (Availability.QUIESCED, "weight 0: no new connections")


def test_real_servers_have_the_names_of_the_site_file() -> None:
    found = explain(query(), wlc(server_names={(service_key(), real_server(11)): "alpha"}))
    assert [one.name for one in found.candidates] == ["alpha", "", ""]


def test_one_armed_service_is_marked_masqueraded_and_found_by_address() -> None:
    found = explain(query(), wlc(nft=ONE_ARMED))
    assert (found.mark, found.masquerade, found.service) == (MARK, True, service_key())
    assert found.steps[-1].verdict is StepVerdict.MASQUERADED


def test_mark_wins_over_address_and_port() -> None:
    services = {service_key(): service("wlc", 1), mark_key(MARK): service("fo", 1, 5, port=0)}
    found = explain(query(), view(services=services, nft=ONE_ARMED))
    assert (found.service, found.real_server) == (mark_key(MARK), real_server(12, 0))
    assert service_of(query(), view(services=services, nft=ONE_ARMED)) == mark_key(MARK)


def test_turn_that_is_hidden_leaves_it_open() -> None:
    found = explain(query(), view(service("rr", 1, 1, 0)))
    assert (found.outcome, found.real_server, found.certainty) == (
        ExplainOutcome.ONE_OF,
        None,
        Certainty.OPEN,
    )
    assert found.steps[4].verdict is StepVerdict.UNDETERMINED
    assert found.steps[5].reason.startswith("nat, such as 10.0.0.11:80")


def test_mixed_forwarding_is_described_one_by_one() -> None:
    server = service("rr", 1, 1)
    server.destinations[real_server(12)] = attributes(1, Forwarding.DSR)
    found = explain(query(), view(server))
    assert verdicts(found)[-2:] == [StepVerdict.VARIES, StepVerdict.VARIES]
    assert "nat, such as 10.0.0.11:80" in found.steps[5].reason
    assert "dsr, such as 10.0.0.12:80" in found.steps[5].reason


@pytest.mark.parametrize("scheduler", ["rr", "wlc", "sh"])
def test_nobody_left_is_refused(scheduler: str) -> None:
    found = explain(query(), view(service(scheduler, 0, 0)))
    assert (found.outcome, found.certainty) == (ExplainOutcome.REFUSED, Certainty.CERTAIN)
    assert "ICMP port unreachable" in found.answer
    assert [step.topic for step in found.steps][-1] is StepTopic.SCHEDULER


def test_any_port_service_must_be_persistent() -> None:
    found = explain(query(8080), view(service("rr", 1, port=0), service_key(0)))
    assert found.outcome is ExplainOutcome.REFUSED
    persistent = explain(query(8080), view(service("rr", 1, port=0, flags=PERSISTENT), service_key(0)))
    assert persistent.outcome is ExplainOutcome.FORWARDED


def test_template_goes_before_the_scheduler() -> None:
    entry = Connection(Protocol.TCP, CLIENT, 0, VIRTUAL, 80, real_server(11), "NONE", 100)
    found = explain(query(), view(service("rr", 1, 1, flags=PERSISTENT), connections=(entry,)))
    assert (found.real_server, found.certainty) == (real_server(11), Certainty.CERTAIN)
    assert verdicts(found)[3:5] == [StepVerdict.TEMPLATE, StepVerdict.NOT_ASKED]


def test_connection_to_a_removed_real_server_is_dropped() -> None:
    entry = Connection(Protocol.TCP, CLIENT, 4711, VIRTUAL, 80, real_server(99), "ESTABLISHED", 100)
    found = explain(query(client_port=4711), view(service("rr", 1), connections=(entry,)))
    assert (found.outcome, found.real_server) == (ExplainOutcome.DROPPED, None)


def test_memory_that_was_not_read_lowers_the_certainty() -> None:
    server = service("fo", 1, 5, flags=PERSISTENT)
    assert explain(query(), view(server)).certainty is Certainty.CERTAIN
    found = explain(query(), view(server, connections=None))
    assert (found.real_server, found.certainty) == (real_server(12), Certainty.NOW)


def test_no_service_goes_to_the_own_stack() -> None:
    found = explain(query(81), wlc())
    assert (found.outcome, len(found.steps), found.candidates) == (ExplainOutcome.OWN_STACK, 3, ())
    assert service_of(query(81), wlc()) is None


def test_elsewhere_still_describes_what_a_holder_would_do() -> None:
    found = explain(query(), wlc(addresses=()))
    assert found.outcome is ExplainOutcome.ELSEWHERE
    assert "does not hold 192.0.2.10" in found.answer
    assert "goes to real server 10.0.0.12:80" in found.answer


def test_elsewhere_without_a_service() -> None:
    found = explain(query(), view(addresses=()))
    assert (found.outcome, found.service) == (ExplainOutcome.ELSEWHERE, None)


def test_site_file_is_named_as_the_source() -> None:
    found = explain(query(), replace(wlc(), source=FactSource.SITE_FILE))
    assert {step.source for step in found.steps} == {FactSource.SITE_FILE}
    assert found.outcome is ExplainOutcome.ONE_OF


# --- where the packet arrives ---


DESIRED = (AddressKey("eth0", VIRTUAL, 32),)
KERNEL, SITE_FILE = FactSource.KERNEL, FactSource.SITE_FILE


@pytest.mark.parametrize(
    ("seen", "virtual", "verdict", "source", "words"),
    [
        (view(), "192.0.2.10", StepVerdict.LOCAL, KERNEL,
         "192.0.2.10 is an address of this director, on eth0"),
        (view(source=SITE_FILE), "192.0.2.10", StepVerdict.LOCAL, SITE_FILE, "will be an address"),
        (view(addresses=(), desired_addresses=DESIRED), "192.0.2.10", StepVerdict.ELSEWHERE, SITE_FILE,
         "kernelbal apply"),
        (view(), "192.0.2.99", StepVerdict.ELSEWHERE, KERNEL, "answers ARP for it on the segment of eth0"),
        (view(), "203.0.113.1", StepVerdict.ELSEWHERE, KERNEL, "through 192.0.2.254 on eth0"),
        (view(routes=()), "203.0.113.1", StepVerdict.ELSEWHERE, KERNEL, "no route"),
    ],
    ids=["local", "local soon", "desired", "on the segment", "behind a gateway", "no route"],
)  # fmt: skip
def test_arrival(
    seen: KernelView, virtual: str, verdict: StepVerdict, source: FactSource, words: str
) -> None:
    step = arrival(query(virtual=address(virtual)), seen, RouteTable(seen.routes))
    assert (step.verdict, step.source) == (verdict, source)
    assert words in step.reason
