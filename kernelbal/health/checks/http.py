"""HTTP/1.1 checks (RFC 9110, RFC 9112): one request, judged by its status and perhaps its body."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from kernelbal.health.checks.dialogue import GOOD, WAIT, DialogueStep, ProbeResult
from kernelbal.health.checks.http_reply import HttpReply
from kernelbal.health.checks.pattern import ReplyPattern
from kernelbal.model.site.check import HttpCheck

_AGENT: Final = "kernelbal"


def default_host(host: str, port: int, usual_port: int) -> str:
    """Return `Host` for a name or address (RFC 9110 7.2): IPv6 in brackets, unusual ports named."""
    name = f"[{host}]" if ":" in host else host
    return name if port in (0, usual_port) else f"{name}:{port}"


def request_bytes(method: str, path: str, host: str, headers: dict[str, str], body: str = "") -> bytes:
    """Return a request; `headers` replace those that it would bear by itself."""
    content = body.encode()
    own = {"Host": host, "User-Agent": _AGENT, "Accept": "*/*", "Connection": "close"}
    if content or method == "POST":
        own["Content-Length"] = str(len(content))
    given = {name.lower() for name in headers}
    fields = {name: value for name, value in own.items() if name.lower() not in given} | headers
    lines = (f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()))
    return "\r\n".join((*lines, "", "")).encode() + content


def status_set(expect: Iterable[str]) -> frozenset[int]:
    """Return the statuses that `200`, `2xx` and `200-204` stand for."""
    found: set[int] = set()
    for each in expect:
        first, _, last = each.replace("xx", "00").partition("-")
        found.update(range(int(first), (int(first) + 99 if each.endswith("xx") else int(last or first)) + 1))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class PreparedHttpCheck:
    """A check with its request encoded once for all runs.

    Attributes:
        request: its bytes.
        good: statuses that are good.
        expected: the same as text.
        contains: what the body must contain, or empty.
        matches: what the body must match somewhere.
        secrets: of the request, which no reason repeats.
    """

    request: bytes
    good: frozenset[int]
    expected: str
    contains: bytes = b""
    matches: ReplyPattern | None = None
    head: bool = False
    secrets: tuple[bytes, ...] = ()


def prepare_check(check: HttpCheck, host: str) -> PreparedHttpCheck:
    """Return `check` with its request encoded; `host` is used when it names none."""
    return PreparedHttpCheck(
        request_bytes(check.method, check.path, check.host or host, check.headers, check.body),
        status_set(check.expect),
        ", ".join(check.expect),
        (check.contains or "").encode(),
        ReplyPattern(check.matches) if check.matches else None,
        head=check.method == "HEAD",
        secrets=tuple(_secrets(check)),
    )


def _secrets(check: HttpCheck) -> Iterator[bytes]:
    """Yield what a request has of secrets: of a header also its last word, as in `Bearer TOKEN`."""
    for value in check.headers.values():
        yield value.encode()
        yield value.rpartition(" ")[2].encode()
    yield check.body.encode()


class HttpDialogue:
    """One request and its reply, judged as soon as it can be."""

    def __init__(self, question: PreparedHttpCheck) -> None:
        self._question = question
        self._reply = HttpReply(question.head, question.secrets)
        self._searched = 0
        self._contained = not question.contains

    @property
    def awaited(self) -> str:
        """The part of the reply that is missing."""
        return self._reply.awaited

    def begin(self) -> DialogueStep:
        """Send the request."""
        return DialogueStep(self._question.request)

    def receive(self, data: bytes) -> DialogueStep:
        """Evaluate what was received so far."""
        self._reply.feed(data)
        result = self._evaluate()
        return WAIT if result is None else DialogueStep(result=result)

    def end(self) -> ProbeResult:
        """Evaluate what was received."""
        self._reply.close()
        return self._evaluate() or ProbeResult(False, "connection closed")

    def _evaluate(self) -> ProbeResult | None:
        reply, question = self._reply, self._question
        if reply.status is not None and reply.status not in question.good:
            return ProbeResult(False, f"status {reply.status}, expected {question.expected}")
        if reply.status is not None and self._enough():
            return GOOD
        if reply.error:
            return ProbeResult(False, reply.error)
        return self._missing() if reply.complete else None

    def _enough(self) -> bool:
        """Whether the body, as far as it came, already is what is expected."""
        expected, body = self._question.contains, self._reply.body
        if not self._contained:
            start = max(0, self._searched - len(expected) + 1)
            self._contained = body.find(expected, start) >= 0
            self._searched = len(body)
        return self._contained and self._question.matches is None

    def _missing(self) -> ProbeResult:
        """Evaluate a whole body."""
        if not self._contained:
            return ProbeResult(False, f'body without "{self._question.contains.decode()}"')
        pattern = self._question.matches
        if pattern is None or pattern.found_in(bytes(self._reply.body)):
            return GOOD
        return ProbeResult(False, f'body does not match "{pattern.text}"')
