"""Events as log lines: `topic service=web server=10.0.0.11 message="..."`, one each.

Under systemd a line begins with its priority (`sd-daemon(3)`), and the journal adds the time. People at a
terminal get `TIME SEVERITY TOPIC [SERVICE] MESSAGE`, as from `kernelbal events`; the message says the rest.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Final, TextIO

from kernelbal.model.event import Severity
from kernelbal.model.status import Recorded
from kernelbal.model.text import lines, one_line

PRIORITY: Final = {
    Severity.ERROR: 3,
    Severity.WARNING: 4,
    Severity.NOTICE: 5,
    Severity.INFO: 6,
}
"""syslog's numbers."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:/+@%,~\[\]-]+")


def format_line(recorded: Recorded) -> str:
    """Return an event as one line without its priority."""
    words = [recorded.topic]
    named = {"service": recorded.service, "server": recorded.server, **recorded.fields}
    words.extend(f"{name}={_value(value)}" for name, value in named.items() if value)
    words.append(f"message={_value(recorded.message)}")
    return " ".join(words)


def terminal_line(recorded: Recorded) -> str:
    """Return an event as one line for people."""
    where = f" [{recorded.service}]" if recorded.service else ""
    return f"{recorded.at} {recorded.severity.value:<7} {recorded.topic}{where} {recorded.message}"


def _value(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


class SafeFormatter(logging.Formatter):
    """Formats records of libraries: each line is printable, and begins like the first, which systemd wants.

    Args:
        priorities: whether lines begin with a priority, as under systemd.
    """

    def __init__(self, *, priorities: bool) -> None:
        super().__init__("%(name)s %(message)s" if priorities else "%(asctime)s %(name)s %(message)s")
        self._start = f"<{PRIORITY[Severity.WARNING]}>" if priorities else ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text; a traceback has several lines, a message has one."""
        made = logging.makeLogRecord({**vars(record), "msg": one_line(record.getMessage()), "args": ()})
        return "\n".join(self._start + line for line in lines(super().format(made)).split("\n"))


class Log:
    """Writes lines to a stream.

    Args:
        stream: usually standard error.
        priorities: whether lines begin with a priority, as under systemd.
        terminal: whether somebody sits before it.
    """

    def __init__(self, stream: TextIO, *, priorities: bool, terminal: bool = False) -> None:
        self._stream = stream
        self._priorities = priorities
        self._terminal = terminal

    def note(self, text: str, at: str) -> None:
        """Write a line that is no event."""
        time = f"{at} {Severity.INFO.value:<7}" if self._terminal else at
        line = one_line(text)
        self._put(f"<6>{line}" if self._priorities else f"{time} {line}")

    def write(self, recorded: Recorded) -> None:
        """Write an event; a log that cannot be written to disturbs nobody."""
        if self._terminal:
            self._put(terminal_line(recorded))
            return
        prefix = f"<{PRIORITY[recorded.severity]}>" if self._priorities else f"{recorded.at} "
        self._put(prefix + format_line(recorded))

    def _put(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return
