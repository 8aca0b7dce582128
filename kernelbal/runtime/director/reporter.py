"""Where events go: the journal, the log, the hooks."""

from __future__ import annotations

from collections.abc import Iterable

from kernelbal.model.event import Event, Severity, Topic
from kernelbal.runtime.director.hooks import Hooks
from kernelbal.runtime.director.journal import Journal
from kernelbal.runtime.director.logline import Log


class Reporter:
    """Sends events to everybody who is to have them."""

    def __init__(self, journal: Journal, log: Log) -> None:
        self.journal = journal
        self._log = log
        self._hooks: Hooks | None = None

    def use_hooks(self, hooks: Hooks) -> None:
        """Offer events to hooks too from now on."""
        self._hooks = hooks

    def emit(self, event: Event) -> None:
        """Record, log and offer an event."""
        recorded = self.journal.record(event)
        self._log.write(recorded)
        if self._hooks is not None:
            self._hooks.offer(recorded)

    def emit_all(self, events: Iterable[Event]) -> None:
        """Emit events in their order."""
        for event in events:
            self.emit(event)

    def log(self, text: str) -> None:
        """Write a log line that is no event."""
        self._log.note(text, self.journal.wall())

    def report(
        self, topic: Topic, message: str, severity: Severity = Severity.NOTICE, **fields: str | int | float
    ) -> None:
        """Emit an event made from its fields."""
        self.emit(Event(topic, severity, message, fields=tuple((k, str(v)) for k, v in fields.items())))
