"""Agents on real servers."""

import pytest

from kernelbal.health.checks.agents import HttpAgentDialogue, TextAgentDialogue, read_load, read_text
from kernelbal.health.checks.dialogue import DialogueStep, ProbeResult
from kernelbal.model.health import AgentReading, AgentRequest
from tests.unit.health.checks.talk import failure, reply, result


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        (b"75%", AgentReading(0.75)),
        (b"0%", AgentReading(0.0, AgentRequest.DRAIN)),
        (b"256%", AgentReading(2.56)),
        (b"1000%", AgentReading(2.56)),
        (b"maxconn:30", AgentReading(max_connections=30)),
        (b"ready", AgentReading(request=AgentRequest.READY)),
        (b"drain", AgentReading(request=AgentRequest.DRAIN)),
        (b"MAINT", AgentReading(request=AgentRequest.MAINT)),
        (b"down", AgentReading(request=AgentRequest.DOWN)),
        (b"fail", AgentReading(request=AgentRequest.DOWN)),
        (b"stopped # for the night", AgentReading(request=AgentRequest.DOWN)),
        (b"down#disk is full, 90%", AgentReading(request=AgentRequest.DOWN)),
        (b"up", AgentReading(request=AgentRequest.UP)),
        (b"up ready 50%", AgentReading(0.5, AgentRequest.READY)),
        (b"up,drain,\t50%", AgentReading(0.5, AgentRequest.DRAIN)),
        (b"  up maint down\tmaxconn:7,10%", AgentReading(0.1, AgentRequest.MAINT, 7)),
    ],
)
def test_words_of_the_text_agent(line: bytes, reading: AgentReading) -> None:
    found = read_text(line)
    assert found == ProbeResult(
        True, reading=reading._replace(text=line.decode().strip().replace("\t", r"\t"))
    )


def test_unknown_words_are_ignored_with_a_warning() -> None:
    found = read_text(b"50% turbo")
    assert found.reading == AgentReading(0.5, text="50% turbo")
    assert found.warning == 'agent sent "turbo", which is unknown'


@pytest.mark.parametrize(
    "line", [b"", b"# nothing", b"hello", b"75", b"-5%", b"75 %", b"maxconn: 5", b"\xff"]
)
def test_lines_without_a_known_word_are_bad(line: bytes) -> None:
    found = read_text(line)
    assert not found.good
    assert "expected 75%, ready, drain" in found.reason


def test_a_text_agent_sends_at_once_or_on_request() -> None:
    assert TextAgentDialogue("").begin() == DialogueStep()
    assert TextAgentDialogue("load?").begin() == DialogueStep(b"load?\n")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\n99%\n"])
def test_only_the_first_line_counts(end: bytes) -> None:
    assert reply(TextAgentDialogue(""), b"50", b"%" + end).result == ProbeResult(
        True, reading=AgentReading(0.5, text="50%")
    )


def test_the_end_of_the_stream_ends_a_line() -> None:
    assert result(TextAgentDialogue(""), b"drain").reading == AgentReading(
        request=AgentRequest.DRAIN, text="drain"
    )


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        (b"0", AgentReading(1.0, AgentRequest.READY, text="0")),
        (b"25\r", AgentReading(0.75, AgentRequest.READY, text="25")),
        (b"100", AgentReading(0.0, AgentRequest.READY, text="100")),
        (b"12.5 % busy", AgentReading(0.875, AgentRequest.READY, text="12.5 % busy")),
        (b"101", AgentReading(request=AgentRequest.DOWN, text="101")),
        (b"102", AgentReading(request=AgentRequest.MAINT, text="102")),
    ],
)
def test_loads_of_the_http_agent(line: bytes, reading: AgentReading) -> None:
    assert read_load(line) == ProbeResult(True, reading=reading)


@pytest.mark.parametrize("line", [b"", b"103", b"1000", b"-1", b"load 5", b"<html>", b"100.5"])
def test_what_is_no_load(line: bytes) -> None:
    assert "expected a load of 0-100, 101 or 102" in read_load(line).reason


def test_request_and_reply_of_the_http_agent() -> None:
    dialogue = HttpAgentDialogue("/load", "192.0.2.1:8080")
    assert dialogue.begin().send.startswith(b"GET /load HTTP/1.1\r\nHost: 192.0.2.1:8080\r\n")
    assert dialogue.awaited == "HTTP status"
    assert reply(dialogue, b"HTTP/1.1 200 OK\r\n\r\n \xef\xbb\xbf4", b"0\nrest").result == ProbeResult(
        True, reading=AgentReading(0.6, AgentRequest.READY, text="40")
    )


def test_a_body_without_line_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    assert result(HttpAgentDialogue("/load", "x"), head, b"70").reading == AgentReading(
        0.3, AgentRequest.READY, text="70"
    )


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("new", "came", "reason"),
    [
        ("text", b"x" * 2000, "line of over 1024 bytes, expected line of the agent"),
        ("text", b"50%" + b" " * 1500 + b"\n", "line of over 1024 bytes, expected line of the agent"),
        ("text", b"\x15\x03\x03\x00", "received TLS, expected line of the agent in clear"),
        ("text", b"", "connection closed, expected line of the agent"),
        ("http", b"HTTP/1.1 404 No\r\n", "agent's status 404, expected 200"),
        ("http", b"", "connection closed, expected HTTP status"),
        ("http", OK + b"Content-Length: 0\r\n\r\n", 'agent sent "", expected a load of 0-100, 101 or 102'),
        ("http", OK + b"Content-Length: 9\r\n\r\n5", "connection closed, expected rest of the HTTP reply"),
    ],
)
def test_what_is_bad(new: str, came: bytes, reason: str) -> None:
    agent = TextAgentDialogue("") if new == "text" else HttpAgentDialogue("/load", "x")
    assert failure(agent, came) == reason
