"""Dialogues over TCP on loopback, against servers that behave and servers that do not."""

import contextlib
import socket
import struct
import time

import pytest

from kernelbal.health.checks.dialogue import DialogueStep, ProbeResult
from kernelbal.health.checks.table import ProbeMethod, ProbeTransport
from kernelbal.model.health import AgentRequest, Health, Timing
from kernelbal.model.site.check import HttpCheck, SmtpCheck, SshCheck, TextAgent
from kernelbal.runtime.checker import loop
from tests.unit.runtime.checker.desk import Desk, Handler, found, free_port, probe, serving

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SHORT = Timing(0.5, 0.2, 1, 1)


def answering(answer: bytes) -> Handler:
    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    return handle


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def endless(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def resetting(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_an_answer_that_is_as_it_should_be() -> None:
    state = found(HttpCheck(), answering(ANSWER))
    assert state.health is Health.UP
    assert state.response_s is not None
    assert 0 < state.response_s < 0.2


def test_an_answer_that_trickles_in() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.recv(4096)
        for byte in ANSWER:
            connection.sendall(bytes([byte]))

    assert found(HttpCheck(), trickle).health is Health.UP


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (silent, "timeout after 0.2 s, waiting for "),
        (resetting, "connection reset, waiting for "),
        (answering(b"\x00\xff" * 100), ""),
        (answering(ANSWER.replace(b"200", b"503")), "503"),
        (answering(b""), "connection closed, expected HTTP status"),
        (lambda connection: None, ""),
    ],
)
def test_servers_that_do_not_behave_are_down_with_a_reason(handler: Handler, reason: str) -> None:
    state = found(HttpCheck(), handler, SHORT)
    assert state.health is Health.DOWN
    assert state.reason
    assert reason in state.reason


def test_a_server_that_never_stops_sending_cannot_hold_up_others() -> None:
    with serving(endless) as port, serving(answering(ANSWER)) as good, Desk() as desk:
        check = HttpCheck(contains="never sent")
        flood = probe(check, port, key="endless", timing=Timing(0.5, 4.0, 1, 1))
        began_at = time.monotonic()
        desk.send(flood, probe(HttpCheck(), good, key="good"))
        desk.until(lambda: {"endless", "good"} <= desk.states.keys())
        took_s = time.monotonic() - began_at
    assert desk.states["good"].health is Health.UP
    assert desk.states["endless"].health is Health.DOWN
    assert took_s < 3, "it was judged by the first part of its reply, not by the timeout"


class Patient:
    """A dialogue that never has enough."""

    awaited = "end"

    def begin(self) -> DialogueStep:
        return DialogueStep(b"?")

    def receive(self, _data: bytes) -> DialogueStep:
        return DialogueStep()

    def end(self) -> ProbeResult:
        return ProbeResult(True)


def test_also_a_dialogue_that_never_has_enough_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    method = ProbeMethod(ProbeTransport.STREAM, lambda _entropy: Patient())
    monkeypatch.setattr(loop, "method_of", lambda _probe: method)
    state = found(HttpCheck(), endless, Timing(5.0, 4.0, 1, 1))
    assert state.reason == "over 256 KiB received without a complete end"


def test_a_port_that_refuses() -> None:
    with Desk() as desk:
        assert desk.result(probe(HttpCheck(), free_port())).reason == "connection refused"


def test_a_dialogue_of_several_steps() -> None:
    said: list[bytes] = []

    def smtp(connection: socket.socket) -> None:
        connection.sendall(b"220 mail ESMTP\r\n")
        for answer in (b"250 mail\r\n", b"221 bye\r\n"):
            said.append(connection.recv(4096))
            with contextlib.suppress(OSError):
                connection.sendall(answer)

    assert found(SmtpCheck(), smtp).health is Health.UP
    assert said[0] == b"EHLO localhost\r\n"


def test_a_greeting_that_is_never_finished() -> None:
    state = found(SshCheck(), lambda connection: connection.sendall(b"SSH-2.0") or silent(connection), SHORT)
    assert state.health is Health.DOWN
    assert state.reason.startswith("timeout after 0.2 s")


def test_the_reading_of_an_agent_is_reported() -> None:
    state = found(TextAgent(port=1), lambda connection: connection.sendall(b"drain 50%\n"))
    assert state.reading is not None
    assert (state.reading.weight, state.reading.request) == (0.5, AgentRequest.DRAIN)
