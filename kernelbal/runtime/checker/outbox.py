"""What goes to the director: changes at the end of the tick, all else once a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kernelbal.model.event import Topic
from kernelbal.model.health import ProbeState
from kernelbal.runtime.checker.wire import MAX_NOTICES, REPORT_PAGES, CheckerReport, Notice, report_pages
from kernelbal.runtime.parent import ParentLink

EVERY_S: Final = 1.0
"""How often what is not urgent is sent; also without news, as a sign of life."""
NOTICE_S: Final = 60.0
"""How often a notice of one topic, or of one topic and probe, is sent at most."""


class Outbox:
    """Collects states and notices, and sends them without ever waiting.

    While the director does not read, states of the same probe replace each other, so that what is kept is
    bounded by the number of probes.
    """

    def __init__(self, link: ParentLink) -> None:
        self._link = link
        self._notices: list[Notice] = []
        self._sent_at: dict[tuple[Topic, str], float] = {}
        self._cut_off: list[str] = []
        self.usual: dict[str, ProbeState] = {}
        self.urgent: dict[str, ProbeState] = {}
        self.next_at = 0.0

    def notify(self, notice: Notice, now: float, key: str = "") -> None:
        """Send a notice with the next report, unless one of its topic was sent within `NOTICE_S`.

        Args:
            notice: what to send.
            now: the time.
            key: probe or cause that it is about; each has its own minute. Empty: it is about the checker.
        """
        about = notice.topic, key
        sent_at = self._sent_at.get(about)
        if sent_at is not None and now - sent_at < NOTICE_S:
            return
        if len(self._sent_at) >= MAX_NOTICES:
            self._sent_at = {each: at for each, at in self._sent_at.items() if now - at < NOTICE_S}
        if len(self._sent_at) < MAX_NOTICES:
            self._sent_at[about] = now
            self._notices.append(notice)

    def cut_off(self, key: str, state: ProbeState) -> None:
        """Send that a run was cut off, at the end of this tick."""
        self._cut_off.append(key)
        self.urgent[key] = state

    def flush(self, now: float, late_p99_s: Callable[[], float], probes: int) -> None:
        """Send what is urgent, and all else when its second is over."""
        everything = now >= self.next_at
        if self._link.busy or not (everything or self.urgent):
            return
        states, self.urgent = self.urgent, {}
        if everything:
            self.next_at = now + EVERY_S
            states, self.usual = {**self.usual, **states}, {}
        else:
            for key in states:
                self.usual.pop(key, None)
        notices, self._notices = tuple(self._notices), []
        cut_off, self._cut_off = tuple(self._cut_off), []
        for page in report_pages(CheckerReport(now, states, notices, late_p99_s(), probes, cut_off)):
            self._link.send(REPORT_PAGES.encode(page))
        self._link.write()
