"""The reason for a failing path names what an operator should look at."""

import errno

import pytest

from kernelbal.health.checks.dialogue import Dialogue
from kernelbal.health.checks.dns import DnsDatagrams
from kernelbal.health.checks.radius import RadiusDialogue
from kernelbal.health.checks.udp import UdpDialogue
from kernelbal.health.path_cause import Symptom, explain_path, symptom
from kernelbal.model.choices import ForwardingName
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.site.check import DnsCheck, RadiusCheck
from kernelbal.runtime.checker import reasons

DSR, TUNNEL = ForwardingName.DSR, ForwardingName.TUNNEL
GOOD = ProbeState(Health.UP, since_at=10.0, last_at=130.0)
SILENT = "timeout after 4 s: no answer"


def bad(reason: str) -> ProbeState:
    return ProbeState(Health.DOWN, since_at=120.0, reason=reason, last_at=129.0)


@pytest.mark.parametrize(
    ("reason", "forwarding", "cause"),
    [
        (SILENT, DSR, "virtual address is probably missing on its `lo`"),
        (SILENT, TUNNEL, "tunnel device is probably down, or drops packets (strict rp_filter)"),
        (SILENT, TUNNEL, "or the virtual address is missing on its `lo`"),
        ("no route to host", DSR, "it forwards packets instead of taking them"),
        ("no route to host", TUNNEL, "comes out of its tunnel is forwarded instead of taken"),
        ("connection refused", DSR, "probably nothing listens on the virtual address there"),
        ("connection refused", TUNNEL, "or its tunnel device is down or missing"),
        ("timeout after 4 s, waiting for HTTP status", DSR, "answers differently on the virtual address"),
        ("status 404, not 200-299", DSR, "answers differently on the virtual address than on its own"),
        ("connection reset", TUNNEL, "answers differently on the virtual address than on its own"),
    ],
)
def test_a_server_that_is_good_by_its_own_address_has_a_path_that_is_not(
    reason: str, forwarding: ForwardingName, cause: str
) -> None:
    told = explain_path(bad(reason), GOOD, forwarding)
    assert told.startswith(f"{reason}, but good by its own address: ")
    assert cause in told


@pytest.mark.parametrize(
    "direct",
    [bad("connection refused"), GOOD._replace(reason="connection refused", streak=1)],
    ids=["down", "about to go down"],
)
def test_a_server_that_is_bad_by_its_own_address_is_itself_the_cause(direct: ProbeState) -> None:
    assert explain_path(bad(SILENT), direct, DSR) == "connection refused (by its own address, too)"


def test_what_was_good_before_the_path_failed_is_not_known_to_be_good_still() -> None:
    told = explain_path(bad(SILENT), GOOD._replace(last_at=119.0), DSR)
    assert told.startswith(f"{SILENT}; if it is still good by its own address: the virtual address")


def test_what_was_good_while_the_path_failed_was_the_path_alone() -> None:
    direct = GOOD._replace(last_at=100.0)
    assert "if it is still good" in explain_path(bad(SILENT), direct, DSR, failing_s=19.0)
    assert ", but good by its own address: " in explain_path(bad(SILENT), direct, DSR, failing_s=20.0)


@pytest.mark.parametrize("direct", [None, ProbeState()], ids=["not probed", "not probed yet"])
def test_without_a_word_from_its_own_address_there_is_no_guess(direct: ProbeState | None) -> None:
    assert explain_path(bad(SILENT), direct, DSR) == f"{SILENT} (through the virtual address)"


@pytest.mark.parametrize("direct", [None, GOOD])
def test_a_director_without_a_route_is_named_as_the_cause(direct: ProbeState | None) -> None:
    told = explain_path(bad(reasons.failure(errno.ENETUNREACH)), direct, DSR)
    assert "probes need a route to the virtual address on this director" in told


def test_a_good_path_needs_no_explanation() -> None:
    assert explain_path(GOOD, GOOD, DSR) == ""
    assert explain_path(GOOD, bad("connection refused"), TUNNEL) == ""


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (errno.ECONNREFUSED, Symptom.REFUSAL),
        (errno.ENOPROTOOPT, Symptom.REFUSAL),
        (errno.EHOSTUNREACH, Symptom.RETURNED),
        (errno.ENETUNREACH, Symptom.NO_ROUTE),
        (errno.ETIMEDOUT, Symptom.SILENCE),
        (errno.ECONNRESET, Symptom.ANSWER),
    ],
)
def test_the_checkers_reasons_for_errors_are_recognised(number: int, found: Symptom) -> None:
    assert symptom(reasons.failure(number)) is found


def test_the_checkers_reasons_for_timeouts_are_recognised() -> None:
    assert symptom(reasons.timed_out(4.0)) is Symptom.SILENCE
    assert symptom(reasons.timed_out(4.0, "HTTP status")) is Symptom.ANSWER


DATAGRAMS = (
    UdpDialogue(b"", None),
    DnsDatagrams(DnsCheck(), b"", 1),
    RadiusDialogue(RadiusCheck(secret="s"), 1, bytes(16)),
)


@pytest.mark.parametrize("dialogue", DATAGRAMS, ids=lambda dialogue: type(dialogue).__name__)
def test_without_a_connection_there_is_silence(dialogue: Dialogue) -> None:
    assert symptom(reasons.timed_out(4.0, dialogue.awaited)) is Symptom.SILENCE


def test_a_datagram_of_another_kind_is_an_answer() -> None:
    dialogue = DnsDatagrams(DnsCheck(), b"", 1)
    dialogue.receive(b"?")
    assert symptom(reasons.timed_out(4.0, dialogue.awaited)) is Symptom.ANSWER
