"""Each claim holds when all is well, and each way of going wrong makes it fail."""

import pytest

from kernelbal.lab.demo import claims
from kernelbal.lab.demo.claims import Evidence
from kernelbal.lab.demo.counters import Packets, Reading
from kernelbal.lab.demo.events import Claim
from kernelbal.lab.demo.scenarios import Replies
from kernelbal.lab.demo.visits import Visits
from tests.unit.lab.demo.evidence import AROUND, CLIENT, THROUGH, evidence, visits

OTHER, VIRTUAL = "10.0.0.1", "10.0.0.80"
DIRECTOR, SERVER = "02:00:00:00:00:01", "02:00:00:00:00:02"
NO_CHANGES = "no changes: kernel matches site.yaml"
SILENT_CLIENT = Packets(sent=300, received=0)


def test_all_answered() -> None:
    claim = claims.all_answered(evidence())
    assert claim.ok
    assert claim.text == "web: all 200 requests are answered"
    assert claim.seen == "200 of 200 answered"


@pytest.mark.parametrize(
    ("visited", "seen"),
    [
        (visits(100, 60, 39, timeout=1), "199 of 200 answered; 1 times timeout"),
        (visits(4, 2, timeout=3), "6 of 9 answered; 3 times timeout; 191 more were not tried"),
        (visits(100, 60, 39), "199 of 199 answered; 1 more were not tried"),
        (visits(), "0 of 0 answered; 200 more were not tried"),
    ],
)
def test_one_answer_less_fails(visited: Visits, seen: str) -> None:
    claim = claims.all_answered(evidence(visited))
    assert not claim.ok
    assert claim.seen == seen


@pytest.mark.parametrize(
    ("weights", "counts"),
    [((5, 3, 2), (100, 60, 40)), ((1, 1, 1), (67, 67, 66)), ((1, 1, 1), (66, 67, 67)), ((1,), (200,))],
)
def test_share_by_weight(weights: tuple[int, ...], counts: tuple[int, ...]) -> None:
    named = {f"rs{i}": weight for i, weight in enumerate(weights, 1)}
    claim = claims.shared_by_weight(Evidence("web", named, visits(*counts), THROUGH))
    assert claim.ok
    assert claim.seen.startswith(f"rs1 {counts[0]}")


@pytest.mark.parametrize(
    "counts",
    [
        (101, 60, 39),  # one request astray
        (67, 67, 66),  # weights ignored
        (125, 75, 0),  # a dead server whose share went to the others
        (100, 60, 0),  # a dead server whose share was lost
        (100, 60, 39, 1),  # someone else answered
        (0, 0, 0),
    ],
)
def test_other_shares_fail(counts: tuple[int, ...]) -> None:
    assert not claims.shared_by_weight(evidence(visits(*counts))).ok


def test_stranger_is_named() -> None:
    assert claims.shared_by_weight(evidence(visits(100, 60, 40, 5))).seen.endswith(
        "; and rs4, which should not"
    )


def test_client_seen() -> None:
    assert claims.client_seen(evidence(), CLIENT, "the client's own").ok


def test_other_client_fails() -> None:
    claim = claims.client_seen(evidence(visits(100, 60, 40, client=OTHER)), CLIENT, "the client's own")
    assert not claim.ok
    assert claim.seen == f"{OTHER}; expected {CLIENT}"


def test_two_clients_fail() -> None:
    visited = visits(100, 60, 40)
    visited.answers.update(visits(1, client=OTHER).answers)
    assert not claims.client_seen(evidence(visited), CLIENT, "the client's own").ok


def test_no_client_seen_fails() -> None:
    assert not claims.client_seen(evidence(visits(timeout=3)), CLIENT, "the client's own").ok


@pytest.mark.parametrize(("packets", "way"), [(THROUGH, Replies.THROUGH), (AROUND, Replies.AROUND)])
def test_replies_took_their_way(packets: Reading, way: Replies) -> None:
    claim = claims.replies_took(evidence(packets=packets), way)
    assert claim.ok
    assert claim.text == f"web: replies go {way.value}"


@pytest.mark.parametrize(
    ("packets", "way"),
    [
        (AROUND, Replies.THROUGH),
        (THROUGH, Replies.AROUND),
        # Routed back by the director, past IPVS
        (THROUGH._replace(ipvs=Packets(0, 1000)), Replies.AROUND),
        (THROUGH._replace(ipvs=Packets(0, 1000)), Replies.THROUGH),
        # A fifth of the replies came back through the director
        (AROUND._replace(director=Packets(1205, 1207)), Replies.AROUND),
        # Replies reached the director, which dropped them
        (AROUND._replace(director=Packets(1005, 2007)), Replies.AROUND),
        # IPVS saw a single reply
        (AROUND._replace(ipvs=Packets(1, 1000)), Replies.AROUND),
        # IPVS had no part in it: the client found its way without
        (AROUND._replace(ipvs=Packets(0, 0)), Replies.AROUND),
        # Nobody at the real servers answered
        (AROUND._replace(real_servers=Packets(5, 1009)), Replies.AROUND),
    ],
)
def test_other_ways_fail(packets: Reading, way: Replies) -> None:
    assert not claims.replies_took(evidence(packets=packets), way).ok


@pytest.mark.parametrize("way", list(Replies))
def test_silence_proves_no_way(way: Replies) -> None:
    silence = Reading(SILENT_CLIENT, Packets(300, 300), Packets(0, 300), Packets(0, 300))
    assert not claims.replies_took(evidence(visits(timeout=3), silence), way).ok
    assert not claims.replies_took(evidence(visits(timeout=3), Reading(*[Packets(0, 0)] * 4)), way).ok


GOOD = [
    (claims.only_director_answers_arp(VIRTUAL, DIRECTOR, [DIRECTOR]), "1 answer"),
    (claims.no_gateway_needed({"rs1": None, "rs2": None}), "rs1, rs2 reach the client on their own segment"),
    (claims.applied(0), "exit status 0"),
    (claims.nothing_left_to_do(0, [NO_CHANGES]), NO_CHANGES),
    (claims.left_as_found(0, [], "3 sysctls"), "same: 3 sysctls"),
    (
        claims.unprepared_servers_answer_arp(VIRTUAL, ["rs1", "rs2"], ["director", "rs2", "rs1"]),
        "answers from director, rs2, rs1",
    ),
    (claims.servers_done("it is done", [0, 0]), "exit status 0, 0"),
    (claims.servers_left_as_found([0, 0], {"rs1": [], "rs2": []}), "rs1, rs2: same"),
]
BAD = [
    (claims.only_director_answers_arp(VIRTUAL, DIRECTOR, []), "0 answers"),
    (claims.only_director_answers_arp(VIRTUAL, DIRECTOR, [SERVER]), f"1 answer, also from {SERVER}"),
    (
        claims.only_director_answers_arp(VIRTUAL, DIRECTOR, [DIRECTOR, SERVER]),
        f"2 answers, also from {SERVER}",
    ),
    (claims.only_director_answers_arp(VIRTUAL, DIRECTOR, [DIRECTOR] * 2), "2 answers"),
    (claims.no_gateway_needed({"rs1": None, "rs2": OTHER}), f"rs2 via {OTHER}"),
    (claims.no_gateway_needed({}), ""),
    (claims.applied(1), "exit status 1"),
    (claims.nothing_left_to_do(1, [NO_CHANGES]), NO_CHANGES),
    (claims.nothing_left_to_do(0, []), "nothing printed"),
    (claims.nothing_left_to_do(0, ["+ service 10.0.0.80:80/tcp", "1 to add"]), "+ service"),
    (claims.nothing_left_to_do(0, [NO_CHANGES, "applied 3 changes; kernel matches site.yaml"]), NO_CHANGES),
    (
        claims.left_as_found(0, [f"+ address {i}" for i in range(6)], "3 sysctls"),
        "different: + address 0; + address 1; + address 2; + address 3 and 2 more",
    ),
    (claims.left_as_found(1, [], "3 sysctls"), "exit status 1; same: 3 sysctls"),
    (claims.played("no such device"), "no such device"),
    *(
        (claims.unprepared_servers_answer_arp(VIRTUAL, ["rs1", "rs2"], answers), "answers from ")
        for answers in ([], ["director"], ["director", "rs1"])
    ),
    (claims.servers_done("it is done", [0, 1]), "exit status 0, 1"),
    (claims.servers_done("it is done", []), "nowhere run"),
    (claims.servers_left_as_found([0], {"rs1": ["+ address x"]}), "rs1: + address x"),
    (claims.servers_left_as_found([1], {"rs1": []}), "rs1: same"),
    (claims.servers_left_as_found([0], {}), ""),
    (
        claims.servers_left_as_found([0], {"rs1": [f"+ {i}" for i in range(6)]}),
        "rs1: + 0; rs1: + 1; rs1: + 2; rs1: + 3 and 2 more",
    ),
]


@pytest.mark.parametrize(("claim", "seen"), GOOD)
def test_what_holds_is_ok(claim: Claim, seen: str) -> None:
    assert (claim.ok, claim.seen) == (True, seen)


@pytest.mark.parametrize(("claim", "seen"), BAD)
def test_what_does_not_hold_is_a_fail(claim: Claim, seen: str) -> None:
    assert not claim.ok
    assert claim.seen.startswith(seen)
