"""HTTP/1.1 replies (RFC 9112), read as they come: status, length, chunks.

Lenient where servers are sloppy: bare line feeds, unknown headers, a body cut short.
Left out: trailers, content codings (none is accepted), pipelining.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Final

from kernelbal.health.checks.dialogue import MAX_REPLY_BYTES, shown
from kernelbal.health.checks.lines import is_tls

MAX_HEADER_BYTES: Final = 64 * 1024
"""Longest header block."""
MAX_CHUNKS: Final = 1024
"""Most chunks that are read: tiny ones without end would keep the checker busy."""
MAX_INTERIM: Final = 100
"""Most interim replies."""
_MAX_CHUNK_LINE_BYTES: Final = 1024
_SHOWN_BYTES: Final = 61

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[0-9] +([1-9][0-9]{2})(?: |\r?$)")
_HEADERS_END: Final = re.compile(rb"\n\r?\n")
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*([0-9]{1,18})[ \t]*\r?$", re.I | re.M)
_CHUNKED: Final = re.compile(rb"^transfer-encoding:.*chunked[ \t]*\r?$", re.I | re.M)
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?")
_BODILESS: Final = frozenset({204, 304})


class _Part(Enum):
    """What comes next."""

    STATUS = "status"
    HEADERS = "headers"
    BODY = "body"
    CHUNK_SIZE = "chunk size"
    CHUNK = "chunk"
    CHUNK_END = "end of a chunk"
    DONE = "done"


class HttpReply:
    """A reply as far as it came.

    Attributes:
        status: None before the status line; interim statuses (100-199 but 101) are passed over.
        body: at most `MAX_REPLY_BYTES`.
        complete: nothing more is worth waiting for: the body ended, or is longer than is looked at.
        error: why the rest cannot be read; what came before it counts.
    """

    def __init__(self, head: bool = False, secrets: Sequence[bytes] = ()) -> None:
        """Begin.

        Args:
            head: whether the request was HEAD, whose replies have no body.
            secrets: of the request; `error` does not repeat them.
        """
        self.status: int | None = None
        self.body = bytearray()
        self.complete = False
        self.error = ""
        self._head = head
        self._secrets = secrets
        self._buffer = bytearray()
        self._scanned = 0
        self._interim_count = 0
        self._chunk_count = 0
        self._part = _Part.STATUS
        self._interim = False
        self._left: int | None = None

    @property
    def awaited(self) -> str:
        """What must come next."""
        return "HTTP status" if self.status is None else "rest of the HTTP reply"

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer += data
        while not self.error and not self.complete and self._step():
            pass

    def close(self) -> None:
        """Take the end of the stream."""
        if self._part is _Part.BODY and self._left is None:
            self.complete = True
        elif not self.error and not self.complete:
            came = (
                f" after {shown(bytes(self._buffer), secrets=self._secrets)}"
                if self.status is None and self._buffer
                else ""
            )
            self.error = f"connection closed{came}, expected {self.awaited}"

    def _step(self) -> bool:
        """Read the next part, if all of it is here; return whether it was."""
        match self._part:
            case _Part.STATUS:
                return self._read_status()
            case _Part.HEADERS:
                return self._read_headers()
            case _Part.BODY | _Part.CHUNK:
                return self._read_body()
            case _Part.CHUNK_SIZE | _Part.CHUNK_END:
                return self._read_chunk_line()
            case _Part.DONE:
                return False

    def _take(self, count: int) -> bytes:
        """Take so many bytes out of the buffer."""
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _read_status(self) -> bool:
        """The status line; the rest of its block stays in the buffer."""
        if self._interim_count > MAX_INTERIM:
            self.error = f"over {MAX_INTERIM} interim replies"
            return False
        start = bytes(self._buffer[:_SHOWN_BYTES])
        if len(start) > 1 and is_tls(start):
            self.error = "received TLS, expected HTTP"
            return False
        end = self._buffer.find(b"\n", self._scanned, MAX_HEADER_BYTES)
        self._scanned = len(self._buffer)
        if not b"HTTP/1.".startswith(start[:7]):
            if end >= 0 or len(start) == _SHOWN_BYTES:
                line = start.partition(b"\n")[0]
                self.error = f"received {shown(line, secrets=self._secrets)}, expected HTTP/1.1"
            return False
        if end < 0:
            if self._scanned >= MAX_HEADER_BYTES:
                self.error = f"status line of over {MAX_HEADER_BYTES} bytes"
            return False
        line = bytes(self._buffer[:end])
        found = _STATUS_LINE.match(line)
        if found is None:
            self.error = f"received {shown(line, secrets=self._secrets)}, expected an HTTP status"
            return False
        status = int(found[1])
        self._interim = 100 <= status < 200 and status != 101
        if not self._interim:
            self.status = status
        self._part, self._scanned = _Part.HEADERS, end
        return True

    def _read_headers(self) -> bool:
        """The rest of the header block."""
        found = _HEADERS_END.search(self._buffer, self._scanned, MAX_HEADER_BYTES)
        if found is None:
            self._scanned = max(self._scanned, len(self._buffer) - 2)
            if len(self._buffer) >= MAX_HEADER_BYTES:
                self.error = f"headers of over {MAX_HEADER_BYTES} bytes"
            return False
        block = self._take(found.end())
        self._scanned = 0
        if self._interim:
            self._interim_count += 1
            self._part = _Part.STATUS
        elif self._head or self.status in _BODILESS:
            self._finish()
        elif _CHUNKED.search(block):
            self._part = _Part.CHUNK_SIZE
        else:
            length = _LENGTH.search(block)
            self._left = int(length[1]) if length else None
            self._part = _Part.BODY
        return True

    def _read_body(self) -> bool:
        """Bytes of the body or of a chunk."""
        taken = self._take(len(self._buffer) if self._left is None else self._left)
        room = MAX_REPLY_BYTES - len(self.body)
        self.body += taken[:room]
        if len(taken) > room:
            self._finish()
            return False
        if self._left is None:
            return False
        self._left -= len(taken)
        if self._left:
            return False
        if self._part is _Part.CHUNK:
            self._part = _Part.CHUNK_END
        else:
            self._finish()
        return True

    def _read_chunk_line(self) -> bool:
        """The line before or after a chunk."""
        end = self._buffer.find(b"\n", 0, _MAX_CHUNK_LINE_BYTES)
        if end < 0:
            if len(self._buffer) >= _MAX_CHUNK_LINE_BYTES:
                self.error = f"chunk size line of over {_MAX_CHUNK_LINE_BYTES} bytes"
            return False
        line = self._take(end + 1)[:-1]
        if self._part is _Part.CHUNK_END:
            if line.strip():
                self.error = f"received {shown(line, secrets=self._secrets)}, expected the end of a chunk"
            self._part = _Part.CHUNK_SIZE
            return True
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            self.error = f"received {shown(line, secrets=self._secrets)}, expected a chunk size"
            return False
        self._left = int(size[1], 16)
        self._part = _Part.CHUNK
        self._chunk_count += 1
        if not self._left or self._chunk_count > MAX_CHUNKS:
            self._finish()
        return True

    def _finish(self) -> None:
        self.complete = True
        self._part = _Part.DONE
        self._buffer.clear()
