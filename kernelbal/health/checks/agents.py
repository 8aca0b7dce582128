"""Agents on real servers that tell how much work they can take.

Text dialect: HAProxy's `agent-check`, as its configuration manual describes it. One line of words, separated
by spaces, tabs or commas, in any order and case: a share of the configured weight (`75%`), `maxconn:30`, what
an operator wants (`ready`, `drain`, `maint`), how the service is (`up`, `down`, `fail`, `stopped`), and after
`#` a reason. HAProxy keeps what an agent does not repeat. Here each answer stands alone, so that nothing
outlives the answer that asked for it; of several words the one that keeps most traffic away counts, `0%`
counts as `drain`, and unknown words are passed over with a warning.

HTTP dialect: LoadMaster's adaptive agent. The first line of the body of `/load` is a number. Its documents
are certain that 0 is idle and 100 overloaded, and that a higher number means less traffic; older ones say
that 101 is `server down` and 102 `administratively disabled`, newer ones only that both are logged. How load
becomes a weight they do not say: here a load of L leaves (100 - L) per cent, and 101 and 102 mean what the
older documents say.
"""

from __future__ import annotations

import re
from typing import Final

from kernelbal.health.checks.dialogue import WAIT, Step, Verdict, shown
from kernelbal.health.checks.http import request_bytes
from kernelbal.health.checks.http_reply import HttpReply
from kernelbal.health.checks.lines import is_tls
from kernelbal.model.health import Reading, Wish

MAX_TEXT_BYTES: Final = 1024
"""Longest line of a text agent."""
_MAX_NUMBER_BYTES: Final = 64
_MAX_SHARE_PER_CENT: Final = 256
_SERVER_DOWN: Final = 101
_SERVER_DISABLED: Final = 102

_SHARE: Final = re.compile(r"([0-9]{1,9})%")
_MAX_CONNECTIONS: Final = re.compile(r"maxconn:([0-9]{1,9})")
_LOAD: Final = re.compile(rb"([0-9]{1,3}(?:\.[0-9]*)?)(?![0-9])")
_WISHES: Final = {
    "maint": Wish.MAINT,
    "down": Wish.DOWN,
    "fail": Wish.DOWN,
    "failed": Wish.DOWN,
    "stopped": Wish.DOWN,
    "drain": Wish.DRAIN,
    "ready": Wish.READY,
    "up": Wish.UP,
}
_STRICTEST_FIRST: Final = (Wish.MAINT, Wish.DOWN, Wish.DRAIN, Wish.READY, Wish.UP)


def read_text(line: bytes) -> Verdict:
    """Return the verdict on one line of a text agent, with its reading."""
    text = line.decode("utf-8", "replace")
    weight: float | None = None
    max_connections: int | None = None
    wishes: set[Wish] = set()
    unknown: list[str] = []
    for word in re.split(r"[ \t,]+", text.partition("#")[0].strip(" \t,\r\0").lower()):
        if share := _SHARE.fullmatch(word):
            weight = min(int(share[1]), _MAX_SHARE_PER_CENT) / 100
        elif limit := _MAX_CONNECTIONS.fullmatch(word):
            max_connections = int(limit[1])
        elif word in _WISHES:
            wishes.add(_WISHES[word])
        else:
            unknown.append(word)
    if weight is None and max_connections is None and not wishes:
        return Verdict(
            False, f"agent says {shown(line)}, wanted 75%, ready, drain, maint, up, down or the like"
        )
    if weight == 0:
        wishes.add(Wish.DRAIN)
    wish = next((each for each in _STRICTEST_FIRST if each in wishes), None)
    warning = f"agent says {shown(unknown[0].encode())}, which means nothing" if unknown else ""
    words = shown(line, MAX_TEXT_BYTES)[1:-1]
    return Verdict(True, warning=warning, reading=Reading(weight, wish, max_connections, words))


def read_load(line: bytes) -> Verdict:
    """Return the verdict on the first line of an HTTP agent's body, with its reading."""
    found = _LOAD.match(line)
    load = float(found[1]) if found else None
    words = shown(line)[1:-1]
    match load:
        case float() if load <= 100:
            return Verdict(True, reading=Reading((100 - load) / 100, Wish.READY, text=words))
        case float() if load == _SERVER_DOWN:
            return Verdict(True, reading=Reading(wish=Wish.DOWN, text=words))
        case float() if load == _SERVER_DISABLED:
            return Verdict(True, reading=Reading(wish=Wish.MAINT, text=words))
        case _:
            return Verdict(False, f"agent says {shown(line)}, wanted a load of 0-100, 101 or 102")


class TextAgentDialogue:
    """Perhaps a line that asks, then a line that answers."""

    awaited = "line of the agent"

    def __init__(self, send: str) -> None:
        self._send = f"{send}\n".encode() if send else b""
        self._buffer = bytearray()

    def begin(self) -> Step:
        """Send what the agent wants to hear first."""
        return Step(self._send)

    def receive(self, data: bytes) -> Step:
        """Read the first line."""
        self._buffer += data
        if len(self._buffer) > 1 and is_tls(self._buffer):
            return Step(verdict=Verdict(False, f"TLS came, wanted {self.awaited} in clear"))
        end = re.search(rb"[\r\n]", self._buffer[:MAX_TEXT_BYTES])
        if end:
            return Step(verdict=read_text(bytes(self._buffer[: end.start()])))
        if len(self._buffer) >= MAX_TEXT_BYTES:
            return Step(verdict=Verdict(False, f"line of over {MAX_TEXT_BYTES} bytes, wanted {self.awaited}"))
        return WAIT

    def end(self) -> Verdict:
        """Read a line that only the end of the stream ends."""
        if not self._buffer:
            return Verdict(False, f"connection closed, wanted {self.awaited}")
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

    def begin(self) -> Step:
        """Send the request."""
        return Step(self._request)

    def receive(self, data: bytes) -> Step:
        """Read the number once its line is whole."""
        self._reply.feed(data)
        verdict = self._judge()
        return WAIT if verdict is None else Step(verdict=verdict)

    def end(self) -> Verdict:
        """Read what came."""
        self._reply.close()
        return self._judge() or Verdict(False, "connection closed")

    def _judge(self) -> Verdict | None:
        reply = self._reply
        if reply.status is not None and reply.status != 200:
            return Verdict(False, f"agent's status {reply.status}, wanted 200")
        line, newline, _ = (
            bytes(reply.body[:_MAX_NUMBER_BYTES]).lstrip(b" \t\r\n\xef\xbb\xbf").partition(b"\n")
        )
        if newline or reply.complete or len(reply.body) >= _MAX_NUMBER_BYTES:
            return read_load(line)
        return Verdict(False, reply.fault) if reply.fault else None
