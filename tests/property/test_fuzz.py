"""Whatever arrives from the network: no parser raises what it does not document, or costs more than 20 ms.

`KERNELBAL_FUZZ_INPUTS` says how many inputs each parser gets: 10,000 by default, 100,000 in continuous
integration; 10,000,000 take hours.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from kernelbal.cli.capture import CaptureError, read_capture
from kernelbal.health.checks.certificate import certificate_warning
from kernelbal.health.checks.dialogue import Dialogue, ProbeResult
from kernelbal.health.checks.icmp import read_echo, without_ipv4_header
from kernelbal.health.checks.script import result_of
from kernelbal.health.checks.table import ENTROPY_BYTES, method_of
from kernelbal.kernel.neighbour_frames import read_advertisement, read_arp_reply
from kernelbal.kernel.probe_frames import parse_frame
from kernelbal.model.address import AF_INET, AF_INET6, parse_address
from kernelbal.model.choices import DnsTransport, Encryption
from kernelbal.model.health import Probe, Target, Timing
from kernelbal.model.site.check import (
    DnsCheck,
    FtpCheck,
    HttpAgent,
    HttpCheck,
    ImapCheck,
    LdapCheck,
    Pop3Check,
    ProbeProtocol,
    RadiusCheck,
    RdpCheck,
    SmtpCheck,
    SshCheck,
    TextAgent,
)
from kernelbal.vrrp.document import decoded
from kernelbal.vrrp.radar import Radar
from kernelbal.vrrp.receive import HmacKeys, Verdict, VirtualRouter, judge
from tests.property import binary_grammars, capture_grammar, text_grammars, vrrp_grammar
from tests.property.fuzz import Choices, FuzzTarget, SlowInputError, fuzz
from tests.support.vrrp_packets import KEY, NOW_S, RECEIVER, RECEIVER6

CI: Final = bool(os.environ.get("CI"))
INPUTS: Final = int(os.environ.get("KERNELBAL_FUZZ_INPUTS", "100000" if CI else "10000"))
FIRST_SEED: Final = 0 if CI else random.SystemRandom().randrange(1 << 40)
MOST_REASON_LETTERS: Final = 400
STARTTLS: Final = Encryption.STARTTLS


def outcome_of(result: ProbeResult) -> str:
    """The outcome of a probe, whose reason must be fit for a log and a terminal."""
    assert result.good == (not result.reason), result
    for text in (result.reason, result.warning, result.reading.text if result.reading else ""):
        assert text.isprintable(), text
    assert len(result.reason) <= MOST_REASON_LETTERS, result.reason
    return result.reason


def dialogue(protocol: ProbeProtocol) -> Callable[[tuple[bytes, ...]], str]:
    """Parses portions as the driver of a probe does: to the first result, to TLS, or to the end."""
    server = parse_address("192.0.2.1")
    method = method_of(Probe("key", protocol, Target(server, 80, "192.0.2.1", server), Timing(9.0, 4.0)))
    new_dialogue = method.new_dialogue
    assert new_dialogue is not None

    def parse(portions: tuple[bytes, ...]) -> str:
        return _converse(new_dialogue(bytes(ENTROPY_BYTES)), portions)

    return parse


def _converse(dialogue: Dialogue, portions: tuple[bytes, ...]) -> str:
    dialogue.begin()
    for portion in filter(None, portions):
        step = dialogue.receive(portion)
        if step.result is not None:
            return outcome_of(step.result)
        if step.start_tls:
            return outcome_of(dialogue.receive(b"").result or ProbeResult(True))
    return outcome_of(dialogue.end())


def certificate(portions: tuple[bytes, ...]) -> str:
    """A warning of its end is no refusal; on 2027-01-15 some have ended, and some end soon."""
    warning = certificate_warning(portions[0], 1.8e9, 14)
    assert warning.isprintable()
    return warning if warning == "certificate cannot be read" else ""


def script(portions: tuple[bytes, ...]) -> str:
    return outcome_of(result_of(int.from_bytes(portions[0], "big", signed=True), portions[1]))


def value_or_none(parse: Callable[[bytes], object]) -> Callable[[tuple[bytes, ...]], str]:
    """A parser of one packet, which returns None for what it does not know."""
    return lambda portions: "" if parse(portions[0]) is not None else "none"


def judged(receiver: VirtualRouter) -> Callable[[tuple[bytes, ...]], str]:
    """Judge a packet, for a receiver and for everybody."""

    def parse(portions: tuple[bytes, ...]) -> str:
        packet = b"".join(portions)
        judge(packet)
        answer = judge(packet, receiver, now_s=NOW_S)
        assert (answer.reason is None) == (answer.verdict is Verdict.ACCEPT) == (not answer.text), answer
        decoded(answer)
        return answer.reason or ""

    return parse


def captured(portions: tuple[bytes, ...]) -> str:
    """Read a capture; what it holds is no more than its octets."""
    try:
        read = read_capture(portions[0])
    except CaptureError:
        return "refused"
    assert sum(len(each.octets) for each in read.packets) <= len(portions[0])
    return "cut short" if read.is_cut_short else ""


def on_the_radar(portions: tuple[bytes, ...]) -> str:
    """Take a frame in; what is heard is bounded by what a frame holds."""
    radar = Radar()
    radar.hear(portions[0])
    assert len(radar.routers) <= 1
    return "" if radar.routers else "none"


DNS: Final = DnsCheck(query="www.example", type="A", transport=DnsTransport.TCP, answer="192.0.2.80")
TARGETS: Final = {
    "ldap": FuzzTarget(binary_grammars.ldap_bind, dialogue(LdapCheck())),
    "ldap starttls": FuzzTarget(binary_grammars.ldap_starttls, dialogue(LdapCheck(encryption=STARTTLS))),
    "certificate": FuzzTarget(binary_grammars.certificate, certificate),
    "dns tcp": FuzzTarget(binary_grammars.dns_stream, dialogue(DNS)),
    "dns udp": FuzzTarget(
        binary_grammars.dns_datagram, dialogue(DNS.model_copy(update={"transport": DnsTransport.UDP}))
    ),
    "http": FuzzTarget(text_grammars.http, dialogue(HttpCheck(contains="alive", matches="a.*e"))),
    "http agent": FuzzTarget(text_grammars.http_agent, dialogue(HttpAgent())),
    "text agent": FuzzTarget(text_grammars.text_agent, dialogue(TextAgent(port=1))),
    "smtp": FuzzTarget(text_grammars.smtp, dialogue(SmtpCheck(encryption=STARTTLS))),
    "imap": FuzzTarget(text_grammars.imap, dialogue(ImapCheck(encryption=STARTTLS))),
    "pop3": FuzzTarget(text_grammars.pop3, dialogue(Pop3Check(encryption=STARTTLS))),
    "ftp": FuzzTarget(text_grammars.ftp, dialogue(FtpCheck())),
    "ssh": FuzzTarget(text_grammars.ssh, dialogue(SshCheck())),
    "rdp": FuzzTarget(binary_grammars.rdp, dialogue(RdpCheck())),
    "radius": FuzzTarget(binary_grammars.radius, dialogue(RadiusCheck(secret="s"))),
    "script": FuzzTarget(text_grammars.script_output, script),
    "echo ipv4": FuzzTarget(
        binary_grammars.echo_ipv4,
        value_or_none(lambda packet: read_echo(AF_INET, without_ipv4_header(packet))),
    ),
    "echo ipv6": FuzzTarget(
        binary_grammars.echo_ipv6, value_or_none(lambda packet: read_echo(AF_INET6, packet))
    ),
    "arp reply": FuzzTarget(binary_grammars.arp_frame, value_or_none(read_arp_reply)),
    "advertisement": FuzzTarget(
        binary_grammars.neighbour_advertisement,
        lambda portions: "" if read_advertisement(portions[1], portions[0][0]) is not None else "none",
    ),
    "frame": FuzzTarget(binary_grammars.frame, value_or_none(parse_frame)),
    "vrrp ipv4": FuzzTarget(vrrp_grammar.packet4, judged(RECEIVER)),
    "vrrp ipv6": FuzzTarget(vrrp_grammar.packet6, judged(RECEIVER6)),
    "pcap": FuzzTarget(capture_grammar.pcap_file, captured),
    "pcapng": FuzzTarget(capture_grammar.pcapng_file, captured),
    "hex": FuzzTarget(capture_grammar.hex_file, captured),
    "hsrp": FuzzTarget(vrrp_grammar.hsrp, on_the_radar),
    "vrrp hmac": FuzzTarget(vrrp_grammar.signed, judged(replace(RECEIVER, hmac=HmacKeys({1: KEY})))),
}


@pytest.mark.parametrize("name", TARGETS)
def test_valid_messages_are_accepted(name: str) -> None:
    """Else the grammar would not reach what lies behind the first check."""
    target = TARGETS[name]
    for seed in range(200):
        portions = target.build(Choices(seed, rate=0.0))
        outcome = target.parse(portions)
        assert not outcome, (seed, outcome, portions)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_is_an_error_or_slow(name: str, record_property: Callable[[str, object], None]) -> None:
    report = fuzz(TARGETS[name], INPUTS, FIRST_SEED)
    record_property("worst_ms", report.worst_ms)
    assert report.outcomes.total() == INPUTS
    assert 0.05 < report.outcomes[""] / INPUTS < 0.95, "too few odd inputs, or too many"


def test_same_seed_builds_the_same_input() -> None:
    for name, target in TARGETS.items():
        assert target.build(Choices(7, rate=0.3)) == target.build(Choices(7, rate=0.3)), name


def test_exceptions_name_seed_and_input() -> None:
    def broken(portions: tuple[bytes, ...]) -> str:
        raise KeyError(len(portions))

    with pytest.raises(KeyError) as caught:
        fuzz(FuzzTarget(lambda _choices: (b"\1\2", b""), broken), 1, first_seed=5)
    assert caught.value.__notes__ == ["seed 5: 0102 -"]


def test_what_is_slow_once_is_no_failure() -> None:
    runs: list[int] = []

    def slow_once(_portions: tuple[bytes, ...]) -> str:
        runs.append(1)
        return spend(0.03) if len(runs) == 1 else ""

    assert fuzz(FuzzTarget(lambda _choices: (b"",), slow_once), 1).worst_ms < 20


def test_what_is_slow_each_time_is_a_failure() -> None:
    with pytest.raises(SlowInputError, match="expected at most 20"):
        fuzz(FuzzTarget(lambda _choices: (b"",), lambda _portions: spend(0.15)), 1)


def spend(processor_s: float) -> str:
    end = time.thread_time() + processor_s
    while time.thread_time() < end:
        pass
    return ""
