"""Agents on real servers."""

import pytest

from kernelbal.health.checks.agents import HttpAgentDialogue, TextAgentDialogue, read_load, read_text
from kernelbal.health.checks.dialogue import Step, Verdict
from kernelbal.model.health import Reading, Wish
from tests.unit.health.checks.talk import fault, reply, verdict


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        (b"75%", Reading(0.75)),
        (b"0%", Reading(0.0, Wish.DRAIN)),
        (b"256%", Reading(2.56)),
        (b"1000%", Reading(2.56)),
        (b"maxconn:30", Reading(max_connections=30)),
        (b"ready", Reading(wish=Wish.READY)),
        (b"drain", Reading(wish=Wish.DRAIN)),
        (b"MAINT", Reading(wish=Wish.MAINT)),
        (b"down", Reading(wish=Wish.DOWN)),
        (b"fail", Reading(wish=Wish.DOWN)),
        (b"stopped # for the night", Reading(wish=Wish.DOWN)),
        (b"down#disk is full, 90%", Reading(wish=Wish.DOWN)),
        (b"up", Reading(wish=Wish.UP)),
        (b"up ready 50%", Reading(0.5, Wish.READY)),
        (b"up,drain,\t50%", Reading(0.5, Wish.DRAIN)),
        (b"  up maint down\tmaxconn:7,10%", Reading(0.1, Wish.MAINT, 7)),
    ],
)
def test_words_of_the_text_agent(line: bytes, reading: Reading) -> None:
    found = read_text(line)
    assert found == Verdict(True, reading=reading._replace(text=line.decode().replace("\t", ".").strip()))


def test_unknown_words_are_passed_over_with_a_warning() -> None:
    found = read_text(b"50% turbo")
    assert found.reading == Reading(0.5, text="50% turbo")
    assert found.warning == 'agent says "turbo", which means nothing'


@pytest.mark.parametrize(
    "line", [b"", b"# nothing", b"hello", b"75", b"-5%", b"75 %", b"maxconn: 5", b"\xff"]
)
def test_lines_without_a_known_word_are_bad(line: bytes) -> None:
    found = read_text(line)
    assert not found.good
    assert "wanted 75%, ready, drain" in found.reason


def test_a_text_agent_speaks_at_once_or_when_asked() -> None:
    assert TextAgentDialogue("").begin() == Step()
    assert TextAgentDialogue("load?").begin() == Step(b"load?\n")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b"\n99%\n"])
def test_only_the_first_line_counts(end: bytes) -> None:
    assert reply(TextAgentDialogue(""), b"50", b"%" + end).verdict == Verdict(
        True, reading=Reading(0.5, text="50%")
    )


def test_the_end_of_the_stream_ends_a_line() -> None:
    assert verdict(TextAgentDialogue(""), b"drain").reading == Reading(wish=Wish.DRAIN, text="drain")
    assert fault(TextAgentDialogue("")) == "connection closed, wanted line of the agent"


def test_bad_text_agents() -> None:
    for long in (b"x" * 2000, b"50%" + b" " * 1500 + b"\n"):
        assert fault(TextAgentDialogue(""), long) == "line of over 1024 bytes, wanted line of the agent"
    assert fault(TextAgentDialogue(""), b"\x15\x03\x03\x00") == "TLS came, wanted line of the agent in clear"


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        (b"0", Reading(1.0, Wish.READY, text="0")),
        (b"25\r", Reading(0.75, Wish.READY, text="25")),
        (b"100", Reading(0.0, Wish.READY, text="100")),
        (b"12.5 % busy", Reading(0.875, Wish.READY, text="12.5 % busy")),
        (b"101", Reading(wish=Wish.DOWN, text="101")),
        (b"102", Reading(wish=Wish.MAINT, text="102")),
    ],
)
def test_loads_of_the_http_agent(line: bytes, reading: Reading) -> None:
    assert read_load(line) == Verdict(True, reading=reading)


@pytest.mark.parametrize("line", [b"", b"103", b"1000", b"-1", b"load 5", b"<html>", b"100.5"])
def test_what_is_no_load(line: bytes) -> None:
    assert "wanted a load of 0-100, 101 or 102" in read_load(line).reason


def test_the_http_agent_is_asked_and_answers() -> None:
    dialogue = HttpAgentDialogue("/load", "192.0.2.1:8080")
    assert dialogue.begin().send.startswith(b"GET /load HTTP/1.1\r\nHost: 192.0.2.1:8080\r\n")
    assert dialogue.awaited == "HTTP status"
    assert reply(dialogue, b"HTTP/1.1 200 OK\r\n\r\n \xef\xbb\xbf4", b"0\nrest").verdict == Verdict(
        True, reading=Reading(0.6, Wish.READY, text="40")
    )


def test_a_body_without_line_end() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    assert verdict(HttpAgentDialogue("/load", "x"), head, b"70").reading == Reading(
        0.3, Wish.READY, text="70"
    )


def test_bad_http_agents() -> None:
    assert fault(HttpAgentDialogue("/load", "x"), b"HTTP/1.1 404 No\r\n") == "agent's status 404, wanted 200"
    assert fault(HttpAgentDialogue("/load", "x")) == "connection closed, wanted HTTP status"
    empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert (
        fault(HttpAgentDialogue("/load", "x"), empty) == 'agent says "", wanted a load of 0-100, 101 or 102'
    )
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n5"
    assert fault(HttpAgentDialogue("/load", "x"), cut) == "connection closed, wanted rest of the HTTP reply"
