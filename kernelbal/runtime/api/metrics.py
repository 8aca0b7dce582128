"""The director's status as metrics, in the text format of Prometheus (0.0.4); one table names all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from kernelbal.model.health import Health
from kernelbal.model.overlay import Mode, ServerState
from kernelbal.model.status import CheckStatus, DirectorStatus, ServerStatus, ServiceStatus
from kernelbal.runtime.api.documents import joined
from kernelbal.runtime.control import StatusSnapshot

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Content type of the text format."""

Labels = tuple[str, ...]
Sample = tuple[Labels, float]
"""Values of labels beyond those of the scope, and the value of the sample."""

HEALTH: Final = {Health.UP: 1, Health.DOWN: 0, Health.UNKNOWN: -1}


class Scope(Enum):
    """What a metric is about; the value are the labels that name it."""

    DIRECTOR = ()
    SERVICE = ("service",)
    SERVER = ("service", "address", "port", "name")
    CHECK = ("service", "address", "port", "check", "key")


class Metric(NamedTuple):
    """A metric.

    Attributes:
        read: yields samples from the document of the scope; what is not known has none.
        counter: whether it only grows; its name then ends in `_total`.
        more_labels: beyond those of the scope.
    """

    name: str
    help: str
    scope: Scope
    read: Callable[[Any], Iterable[Sample]]
    counter: bool = False
    more_labels: Labels = ()

    @property
    def labels(self) -> Labels:
        """Every label."""
        return (*self.scope.value, *self.more_labels)


def _value(read: Callable[[Any], float | None]) -> Callable[[Any], Iterable[Sample]]:
    def samples(document: object) -> tuple[Sample, ...]:
        value = read(document)
        return () if value is None else (((), value),)

    return samples


def _states(server: ServerStatus) -> Iterator[Sample]:
    yield (server.state.value,), 1


def _modes(service: ServiceStatus) -> Iterator[Sample]:
    for mode in Mode:
        yield (mode.value,), mode is service.mode


def _info(status: DirectorStatus) -> Iterator[Sample]:
    yield (status.node, status.version), 1


def _milli(value: float | None) -> float | None:
    return None if value is None else value / 1000.0


METRICS: Final = (
    Metric("kernelbal_info", "Always 1.", Scope.DIRECTOR, _info, more_labels=("node", "version")),
    Metric(
        "kernelbal_uptime_seconds", "Since the daemon started.", Scope.DIRECTOR, _value(lambda s: s.uptime_s)
    ),
    Metric(
        "kernelbal_config_refused",
        "1 when a newer site or node document is not in force because it is invalid.",
        Scope.DIRECTOR,
        _value(lambda s: bool(s.config.refused)),
    ),
    Metric(
        "kernelbal_config_age_seconds",
        "Since the site was loaded.",
        Scope.DIRECTOR,
        _value(lambda s: s.config.loaded_s),
    ),
    Metric(
        "kernelbal_rounds_total",
        "Rounds of reconciliation.",
        Scope.DIRECTOR,
        _value(lambda s: s.reconcile.rounds),
        counter=True,
    ),
    Metric(
        "kernelbal_changes_total",
        "Actions performed on the kernel.",
        Scope.DIRECTOR,
        _value(lambda s: s.reconcile.changes),
        counter=True,
    ),
    Metric(
        "kernelbal_reverts_total",
        "Actions that reverted external changes.",
        Scope.DIRECTOR,
        _value(lambda s: s.reconcile.reverts),
        counter=True,
    ),
    Metric(
        "kernelbal_failures_total",
        "Attempts that the kernel refused.",
        Scope.DIRECTOR,
        _value(lambda s: s.reconcile.failures),
        counter=True,
    ),
    Metric(
        "kernelbal_failing_objects",
        "Objects that are not as site.yaml has them because the kernel refuses the change.",
        Scope.DIRECTOR,
        _value(lambda s: s.reconcile.failing),
    ),
    Metric(
        "kernelbal_converged",
        "1 when the kernel matched site.yaml after the last round.",
        Scope.DIRECTOR,
        _value(lambda s: s.reconcile.converged),
    ),
    Metric(
        "kernelbal_last_round_age_seconds",
        "Age of the last round.",
        Scope.DIRECTOR,
        _value(lambda s: s.reconcile.last_s),
    ),
    Metric(
        "kernelbal_last_round_seconds",
        "Duration of the last round.",
        Scope.DIRECTOR,
        _value(lambda s: _milli(s.reconcile.duration_ms)),
    ),
    Metric(
        "kernelbal_state_damaged",
        "Records in the state directory that could not be read at the start.",
        Scope.DIRECTOR,
        _value(lambda s: len(s.state.damaged)),
    ),
    Metric(
        "kernelbal_state_unsaved",
        "1 while the state directory cannot be written.",
        Scope.DIRECTOR,
        _value(lambda s: bool(s.state.unsaved)),
    ),
    Metric(
        "kernelbal_internal_errors_total",
        "Tasks of the daemon that ended with an internal error, and were started again.",
        Scope.DIRECTOR,
        _value(lambda s: s.internal_errors),
        counter=True,
    ),
    Metric(
        "kernelbal_checker_alive",
        "1 while the health checker runs.",
        Scope.DIRECTOR,
        _value(lambda s: s.checker.alive),
    ),
    Metric(
        "kernelbal_checker_probes", "Probes that it runs.", Scope.DIRECTOR, _value(lambda s: s.checker.probes)
    ),
    Metric(
        "kernelbal_checker_unable_probes",
        "Probes that cannot be run on this machine now.",
        Scope.DIRECTOR,
        _value(lambda s: s.checker.unable),
    ),
    Metric(
        "kernelbal_checker_quarantined_probes",
        "Probes that are not run for a while, as they held the checker up or ended it.",
        Scope.DIRECTOR,
        _value(lambda s: len(s.checker.quarantined)),
    ),
    Metric(
        "kernelbal_checker_late_seconds",
        "99th percentile of how late probes start.",
        Scope.DIRECTOR,
        _value(lambda s: _milli(s.checker.late_ms)),
    ),
    Metric(
        "kernelbal_checker_restarts_total",
        "Restarts of the checker.",
        Scope.DIRECTOR,
        _value(lambda s: s.checker.restarts),
        counter=True,
    ),
    Metric(
        "kernelbal_checker_unstable",
        "1 when it was lost three times within 60 s.",
        Scope.DIRECTOR,
        _value(lambda s: s.checker.unstable),
    ),
    Metric(
        "kernelbal_checker_last_age_seconds",
        "Age of the checker's last report.",
        Scope.DIRECTOR,
        _value(lambda s: s.checker.last_s),
    ),
    Metric(
        "kernelbal_connection_table_buckets",
        "Size of the IPVS connection table.",
        Scope.DIRECTOR,
        _value(lambda s: s.table.buckets),
    ),
    Metric(
        "kernelbal_connection_table_connections",
        "Connections in the IPVS connection table.",
        Scope.DIRECTOR,
        _value(lambda s: s.table.connections),
    ),
    Metric(
        "kernelbal_counters_age_seconds",
        "Age of the connection counts and rates below.",
        Scope.DIRECTOR,
        _value(lambda s: s.counters_s),
    ),
    Metric(
        "kernelbal_service_mode",
        "1 for the mode that the service is in.",
        Scope.SERVICE,
        _modes,
        more_labels=("mode",),
    ),
    Metric(
        "kernelbal_service_mode_age_seconds", "Age of the mode.", Scope.SERVICE, _value(lambda s: s.since_s)
    ),
    Metric(
        "kernelbal_service_usable_servers",
        "Real servers that may take connections.",
        Scope.SERVICE,
        _value(lambda s: s.usable),
    ),
    Metric(
        "kernelbal_service_quorum",
        "Real servers that the service needs.",
        Scope.SERVICE,
        _value(lambda s: s.quorum),
    ),
    Metric(
        "kernelbal_server_up",
        "Health of a real server: 1 up, 0 down, -1 unknown.",
        Scope.SERVER,
        _value(lambda s: HEALTH[s.health]),
    ),
    Metric(
        "kernelbal_server_state",
        "1 for the state that it is in; there are " + ", ".join(state.value for state in ServerState) + ".",
        Scope.SERVER,
        _states,
        more_labels=("state",),
    ),
    Metric(
        "kernelbal_server_state_age_seconds", "Age of the state.", Scope.SERVER, _value(lambda s: s.since_s)
    ),
    Metric("kernelbal_server_weight", "Weight in force.", Scope.SERVER, _value(lambda s: s.weight)),
    Metric(
        "kernelbal_server_configured_weight",
        "Weight in the site file.",
        Scope.SERVER,
        _value(lambda s: s.configured_weight),
    ),
    Metric(
        "kernelbal_server_active_connections", "Active connections.", Scope.SERVER, _value(lambda s: s.active)
    ),
    Metric(
        "kernelbal_server_inactive_connections",
        "Inactive connections.",
        Scope.SERVER,
        _value(lambda s: s.inactive),
    ),
    Metric(
        "kernelbal_server_connections_total",
        "Connections since it was added to the kernel.",
        Scope.SERVER,
        _value(lambda s: s.connections),
        counter=True,
    ),
    Metric(
        "kernelbal_server_in_bytes_total",
        "Bytes towards it since it was added to the kernel.",
        Scope.SERVER,
        _value(lambda s: s.bytes_in),
        counter=True,
    ),
    Metric(
        "kernelbal_server_out_bytes_total",
        "Bytes from it since it was added to the kernel; 0 for dsr and tunnel: replies bypass the director.",
        Scope.SERVER,
        _value(lambda s: s.bytes_out),
        counter=True,
    ),
    Metric(
        "kernelbal_check_up", "1 up, 0 down, -1 unknown.", Scope.CHECK, _value(lambda c: HEALTH[c.health])
    ),
    Metric(
        "kernelbal_check_change_age_seconds",
        "Since it changed last.",
        Scope.CHECK,
        _value(lambda c: c.since_s),
    ),
    Metric(
        "kernelbal_check_probe_age_seconds", "Age of the last probe.", Scope.CHECK, _value(lambda c: c.last_s)
    ),
    Metric(
        "kernelbal_check_response_seconds",
        "Duration of the last successful probe.",
        Scope.CHECK,
        _value(lambda c: _milli(c.response_ms)),
    ),
    Metric(
        "kernelbal_check_warning",
        "1 when it succeeds with a warning, such as a certificate that expires soon.",
        Scope.CHECK,
        _value(lambda c: bool(c.warning)),
    ),
)
"""Every metric."""

_BY_SCOPE: Final[Mapping[Scope, tuple[Metric, ...]]] = {
    scope: tuple(each for each in METRICS if each.scope is scope) for scope in Scope
}


def render(snapshot: StatusSnapshot) -> list[bytes]:
    """Return all metrics as text, in pieces; made for a thread beside the event loop."""
    lines: dict[Metric, list[bytes]] = {each: [] for each in METRICS}
    _write(lines, Scope.DIRECTOR, [((), snapshot.summary())])
    for name in snapshot.names():
        service = snapshot.service(name)
        servers = [
            ((name, each.address, str(each.port), each.name or ""), each) for each in service.real_servers
        ]
        _write(lines, Scope.SERVICE, [((name,), service)])
        _write(lines, Scope.SERVER, servers)
        _write(lines, Scope.CHECK, _checks(servers))
    return list(joined(part for metric in METRICS for part in (_head(metric), *lines[metric])))


def _checks(servers: Iterable[tuple[Labels, ServerStatus]]) -> Iterator[tuple[Labels, CheckStatus]]:
    for (*where, _), server in servers:
        for check in server.checks:
            yield (*where, check.check, check.key), check


def _write(
    lines: Mapping[Metric, list[bytes]], scope: Scope, documents: Iterable[tuple[Labels, object]]
) -> None:
    named = [(_labels(scope.value, values), document) for values, document in documents]
    for metric in _BY_SCOPE[scope]:
        text = "".join(
            f"{metric.name}{_braced(labels + _labels(metric.more_labels, more))} {float(value)!r}\n"
            for labels, document in named
            for more, value in metric.read(document)
        )
        lines[metric].append(text.encode())


def _head(metric: Metric) -> bytes:
    kind = "counter" if metric.counter else "gauge"
    return f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {kind}\n".encode()


def _labels(names: Labels, values: Labels) -> str:
    return "".join(f'{name}="{_escaped(value)}",' for name, value in zip(names, values, strict=True))


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
