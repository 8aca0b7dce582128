"""Where events go: the journal, the log, the hooks."""

from __future__ import annotations

from collections.abc import Iterable

from kernelbal.model.event import Event, Severity, Topic
from kernelbal.runtime.director.hooks import Hooks
from kernelbal.runtime.director.journal import Journal
from kernelbal.runtime.director.logline import Log


class Reporter:
    """Tells everybody what happens."""

    def __init__(self, journal: Journal, log: Log) -> None:
        self.journal = journal
        self._log = log
        self._hooks: Hooks | None = None

    def use_hooks(self, hooks: Hooks) -> None:
        """Tell hooks too from now on."""
        self._hooks = hooks

    def tell(self, event: Event) -> None:
        """Tell an event."""
        recorded = self.journal.record(event)
        self._log.write(recorded)
        if self._hooks is not None:
            self._hooks.offer(recorded)

    def tell_all(self, events: Iterable[Event]) -> None:
        """Tell events in their order."""
        for event in events:
            self.tell(event)

    def log(self, text: str) -> None:
        """Write a log line that is no event."""
        self._log.note(text, self.journal.wall())

    def say(
        self, topic: Topic, message: str, severity: Severity = Severity.NOTICE, **fields: str | int | float
    ) -> None:
        """Tell an event from its parts."""
        self.tell(Event(topic, severity, message, fields=tuple((k, str(v)) for k, v in fields.items())))
