"""What happens, as operators read it: one record for the log, the stream, the hooks and the tests."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


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
    DRIFT_REPAIRED = "drift.repaired"
    ROUND_FAILED = "round.failed"
    ROUND_RECOVERED = "round.recovered"
    CHECKER_STARTED = "checker.started"
    CHECKER_LOST = "checker.lost"
    CHECKER_LATE = "checker.late"
    CHECKER_STARVED = "checker.starved"
    """Out of file descriptors or ports: probes are not run, states are kept."""
    STATE_UNSAVED = "state.unsaved"
    """The state directory cannot be written: work goes on, but a restart would forget."""
    STATE_SAVED = "state.saved"
    CHECKER_UNABLE = "checker.unable"
    """Some probes cannot be run as the site has them: a capability, a file or an address is missing."""
    DIRECTOR_STARTED = "director.started"
    DIRECTOR_STOPPED = "director.stopped"
    HOOK_FAILED = "hook.failed"
    HOOKS_SUPPRESSED = "hook.suppressed"


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
