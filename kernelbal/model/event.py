"""What happens, as operators read it: one record for the log, the stream, the hooks and the tests."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class Topic(Enum):
    """Kinds of events, `subject.what`; hooks and streams select by them or by the part before the dot."""

    SERVER_UP = "real_server.up"
    SERVER_DOWN = "real_server.down"
    SERVER_DRAINING = "real_server.draining"
    SERVER_DRAINED = "real_server.drained"
    SERVER_DISABLED = "real_server.disabled"
    SERVER_ENABLED = "real_server.enabled"
    SERVER_RAMPING = "real_server.ramping"
    SERVER_WARNING = "real_server.warning"
    SERVICE_QUORUM_LOST = "virtual_service.quorum_lost"
    SERVICE_QUORUM_GAINED = "virtual_service.quorum_gained"
    CONFIG_LOADED = "config.loaded"
    CONFIG_REFUSED = "config.refused"
    CONFIG_CONFIRMED = "config.confirmed"
    CONFIG_ROLLED_BACK = "config.rolled_back"
    DRIFT_REVERTED = "drift.reverted"
    OBJECT_FAILING = "object.failing"
    OBJECT_RECOVERED = "object.recovered"
    ROUND_FAILED = "round.failed"
    ROUND_RECOVERED = "round.recovered"
    CHECKER_STARTED = "checker.started"
    CHECKER_LOST = "checker.lost"
    CHECKER_LATE = "checker.late"
    CHECKER_STARVED = "checker.starved"
    CHECKER_UNABLE = "checker.unable"
    CHECKER_ERROR = "checker.error"
    CHECKER_QUARANTINED = "checker.quarantined"
    STATE_UNSAVED = "state.unsaved"
    STATE_SAVED = "state.saved"
    STATE_DAMAGED = "state.damaged"
    DIRECTOR_STARTED = "director.started"
    DIRECTOR_STOPPED = "director.stopped"
    DIRECTOR_ERROR = "director.error"
    HOOK_FAILED = "hook.failed"
    HOOKS_SUPPRESSED = "hook.suppressed"


MEANINGS: Final[dict[Topic, str]] = {
    Topic.SERVER_UP: "Its checks succeed again, or for the first time.",
    Topic.SERVER_DOWN: "Its checks failed, or its agent said so; `reason` says why.",
    Topic.SERVER_DRAINING: "An operator drains it.",
    Topic.SERVER_DRAINED: "It has drained.",
    Topic.SERVER_DISABLED: "An operator disabled it.",
    Topic.SERVER_ENABLED: "It takes new connections again.",
    Topic.SERVER_RAMPING: "Slow start begins: its weight climbs.",
    Topic.SERVER_WARNING: "Its checks succeed with a warning, such as a certificate that expires soon.",
    Topic.SERVICE_QUORUM_LOST: "Fewer usable real servers than the quorum: `all_down` applies.",
    Topic.SERVICE_QUORUM_GAINED: "Enough real servers are usable again.",
    Topic.CONFIG_LOADED: "Changed documents are in force.",
    Topic.CONFIG_REFUSED: "Changed documents are invalid: the old ones stay in force.",
    Topic.CONFIG_CONFIRMED: "Documents that awaited confirmation stay in force.",
    Topic.CONFIG_ROLLED_BACK: "Documents were not confirmed: those before are in force again.",
    Topic.DRIFT_REVERTED: "External change reverted: the kernel matches site.yaml again.",
    Topic.OBJECT_FAILING: "The kernel refuses a change of an object, or does so with another error.",
    Topic.OBJECT_RECOVERED: "An object that was failing is as site.yaml has it.",
    Topic.ROUND_FAILED: "A round failed as a whole, such as when the kernel cannot be read; it is retried.",
    Topic.ROUND_RECOVERED: "Rounds succeed again.",
    Topic.CHECKER_STARTED: "The checker started.",
    Topic.CHECKER_LOST: "The checker ended; states are kept, and it is restarted.",
    Topic.CHECKER_LATE: "Probes start late: the machine is overloaded.",
    Topic.CHECKER_STARVED: "Out of file descriptors or ports: probes are not run, states are kept.",
    Topic.CHECKER_UNABLE: "Probes cannot be run: a capability, a file or an address is missing.",
    Topic.CHECKER_ERROR: "An error in the check itself: this probe failed by it, no other did.",
    Topic.CHECKER_QUARANTINED: "A probe held the checker up, or ended it: it is not run for a while.",
    Topic.STATE_UNSAVED: "The state directory cannot be written: a restart would lose newer state.",
    Topic.STATE_SAVED: "The state directory can be written again.",
    Topic.STATE_DAMAGED: "A record in the state directory cannot be read: it is kept as `.bad`.",
    Topic.DIRECTOR_STARTED: "The daemon started.",
    Topic.DIRECTOR_STOPPED: "The daemon stopped; the kernel continues to serve.",
    Topic.DIRECTOR_ERROR: "A task of the daemon ended with an internal error; it is started again.",
    Topic.HOOK_FAILED: "A script or webhook of `notify` failed.",
    Topic.HOOKS_SUPPRESSED: "A hook exceeded `per_minute`; the events dropped are counted.",
}
"""What each topic means; the reference page is made from it."""


class Severity(Enum):
    """How much it matters; syslog's words."""

    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"


class Event(NamedTuple):
    """Something that happened.

    Attributes:
        service: name of the virtual service, or empty.
        server: address of the real server, or empty.
        message: one sentence.
        fields: further facts as text, by name.
    """

    topic: Topic
    severity: Severity
    message: str
    service: str = ""
    server: str = ""
    fields: tuple[tuple[str, str], ...] = ()
