"""Agents on real servers that report how much load they can take.

Text dialect: HAProxy's `agent-check`, as its configuration manual describes it. One line of words, separated
by spaces, tabs or commas, in any order and case: a share of the configured weight (`75%`), `maxconn:30`, what
an operator wants (`ready`, `drain`, `maint`), how the service is (`up`, `down`, `fail`, `stopped`), and after
`#` a reason. HAProxy keeps what an agent does not repeat. Here each answer is complete, so that nothing
outlives the answer that requested it; of several words the one that keeps most traffic away counts, `0%`
counts as `drain`, and unknown words are ignored with a warning.

HTTP dialect: LoadMaster's adaptive agent. The first line of the body of `/load` is a number. Its documents
are certain that 0 is idle and 100 overloaded, and that a higher number means less traffic; older ones say
that 101 is `server down` and 102 `administratively disabled`, newer ones only that both are logged. How load
becomes a weight is not documented: here a load of L leaves (100 - L) per cent, and 101 and 102 mean what the
older documents say.
"""

from __future__ import annotations

import re
from typing import Final

from kernelbal.health.checks.dialogue import WAIT, DialogueStep, ProbeResult, shown
from kernelbal.health.checks.http import request_bytes
from kernelbal.health.checks.http_reply import HttpReply
from kernelbal.health.checks.lines import is_tls
from kernelbal.model.health import AgentReading, AgentRequest

MAX_TEXT_BYTES: Final = 1024
"""Longest line of a text agent."""
_MAX_NUMBER_BYTES: Final = 64
_MAX_SHARE_PER_CENT: Final = 256
_SERVER_DOWN: Final = 101
_SERVER_DISABLED: Final = 102

_SHARE: Final = re.compile(r"([0-9]{1,9})%")
_MAX_CONNECTIONS: Final = re.compile(r"maxconn:([0-9]{1,9})")
_LOAD: Final = re.compile(rb"([0-9]{1,3}(?:\.[0-9]*)?)(?![0-9])")
_REQUESTS: Final = {
    "maint": AgentRequest.MAINT,
    "down": AgentRequest.DOWN,
    "fail": AgentRequest.DOWN,
    "failed": AgentRequest.DOWN,
    "stopped": AgentRequest.DOWN,
    "drain": AgentRequest.DRAIN,
    "ready": AgentRequest.READY,
    "up": AgentRequest.UP,
}
_STRICTEST_FIRST: Final = (
    AgentRequest.MAINT,
    AgentRequest.DOWN,
    AgentRequest.DRAIN,
    AgentRequest.READY,
    AgentRequest.UP,
)


def read_text(line: bytes) -> ProbeResult:
    """Return the result of one line of a text agent, with its reading."""
    text = line.decode("utf-8", "replace")
    weight: float | None = None
    max_connections: int | None = None
    requests: set[AgentRequest] = set()
    unknown: list[str] = []
    for word in re.split(r"[ \t,]+", text.partition("#")[0].strip(" \t,\r\0").lower()):
        if share := _SHARE.fullmatch(word):
            weight = min(int(share[1]), _MAX_SHARE_PER_CENT) / 100
        elif limit := _MAX_CONNECTIONS.fullmatch(word):
            max_connections = int(limit[1])
        elif word in _REQUESTS:
            requests.add(_REQUESTS[word])
        else:
            unknown.append(word)
    if weight is None and max_connections is None and not requests:
        return ProbeResult(
            False, f"agent sent {shown(line)}, expected 75%, ready, drain, maint, up, down or the like"
        )
    if weight == 0:
        requests.add(AgentRequest.DRAIN)
    request = next((each for each in _STRICTEST_FIRST if each in requests), None)
    warning = f"agent sent {shown(unknown[0].encode())}, which is unknown" if unknown else ""
    words = shown(line, MAX_TEXT_BYTES)[1:-1]
    return ProbeResult(True, warning=warning, reading=AgentReading(weight, request, max_connections, words))


def read_load(line: bytes) -> ProbeResult:
    """Return the result of the first line of an HTTP agent's body, with its reading."""
    found = _LOAD.match(line)
    load = float(found[1]) if found else None
    words = shown(line)[1:-1]
    match load:
        case float() if load <= 100:
            return ProbeResult(True, reading=AgentReading((100 - load) / 100, AgentRequest.READY, text=words))
        case float() if load == _SERVER_DOWN:
            return ProbeResult(True, reading=AgentReading(request=AgentRequest.DOWN, text=words))
        case float() if load == _SERVER_DISABLED:
            return ProbeResult(True, reading=AgentReading(request=AgentRequest.MAINT, text=words))
        case _:
            return ProbeResult(False, f"agent sent {shown(line)}, expected a load of 0-100, 101 or 102")


class TextAgentDialogue:
    """Perhaps a request line, then a reply line."""

    awaited = "line of the agent"

    def __init__(self, send: str) -> None:
        self._send = f"{send}\n".encode() if send else b""
        self._buffer = bytearray()

    def begin(self) -> DialogueStep:
        """Send the request, if the agent takes one."""
        return DialogueStep(self._send)

    def receive(self, data: bytes) -> DialogueStep:
        """Read the first line."""
        self._buffer += data
        if len(self._buffer) > 1 and is_tls(self._buffer):
            return DialogueStep(result=ProbeResult(False, f"received TLS, expected {self.awaited} in clear"))
        end = re.search(rb"[\r\n]", self._buffer[:MAX_TEXT_BYTES])
        if end:
            return DialogueStep(result=read_text(bytes(self._buffer[: end.start()])))
        if len(self._buffer) >= MAX_TEXT_BYTES:
            return DialogueStep(
                result=ProbeResult(False, f"line of over {MAX_TEXT_BYTES} bytes, expected {self.awaited}")
            )
        return WAIT

    def end(self) -> ProbeResult:
        """Read a line that only the end of the stream ends."""
        if not self._buffer:
            return ProbeResult(False, f"connection closed, expected {self.awaited}")
        return read_text(bytes(self._buffer))


class HttpAgentDialogue:
    """GET, and the number in the reply."""

    def __init__(self, path: str, host: str) -> None:
        self._request = request_bytes("GET", path, host, {})
        self._reply = HttpReply()

    @property
    def awaited(self) -> str:
        """The part of the reply that is missing."""
        return self._reply.awaited

    def begin(self) -> DialogueStep:
        """Send the request."""
        return DialogueStep(self._request)

    def receive(self, data: bytes) -> DialogueStep:
        """Read the number once its line is whole."""
        self._reply.feed(data)
        result = self._evaluate()
        return WAIT if result is None else DialogueStep(result=result)

    def end(self) -> ProbeResult:
        """Read what came."""
        self._reply.close()
        return self._evaluate() or ProbeResult(False, "connection closed")

    def _evaluate(self) -> ProbeResult | None:
        reply = self._reply
        if reply.status is not None and reply.status != 200:
            return ProbeResult(False, f"agent's status {reply.status}, expected 200")
        line, newline, _ = (
            bytes(reply.body[:_MAX_NUMBER_BYTES]).lstrip(b" \t\r\n\xef\xbb\xbf").partition(b"\n")
        )
        if newline or reply.complete or len(reply.body) >= _MAX_NUMBER_BYTES:
            return read_load(line)
        return ProbeResult(False, reply.error) if reply.error else None
