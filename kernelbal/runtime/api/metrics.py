"""The director's status as metrics, in the text format of Prometheus; one table names all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from kernelbal.model.status import CheckStatus, DirectorStatus, ServerStatus, ServiceStatus

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
"""Content type of the text format."""

Labels = tuple[str, ...]
Sample = tuple[Labels, float]

SERVER_STATES: Final[tuple[str, ...]] = get_args(ServerStatus.model_fields["state"].annotation)
MODES: Final[tuple[str, ...]] = get_args(ServiceStatus.model_fields["mode"].annotation)
HEALTH: Final = {"up": 1.0, "down": 0.0, "unknown": -1.0}

_SERVICE: Final = ("service",)
_SERVER: Final = ("service", "address", "port", "name")
_CHECK: Final = ("service", "address", "port", "check", "key")


class Described(NamedTuple):
    """A metric.

    Attributes:
        counter: whether it only grows; its name then ends in `_total`.
        read: yields its samples; what is not known has none.
    """

    name: str
    help: str
    labels: Labels
    read: Callable[[DirectorStatus], Iterable[Sample]]
    counter: bool = False


def _one(read: Callable[[DirectorStatus], float | None]) -> Callable[[DirectorStatus], Iterable[Sample]]:
    def samples(status: DirectorStatus) -> Iterator[Sample]:
        value = read(status)
        if value is not None:
            yield (), float(value)

    return samples


def _per_service(
    read: Callable[[ServiceStatus], float | None],
) -> Callable[[DirectorStatus], Iterable[Sample]]:
    def samples(status: DirectorStatus) -> Iterator[Sample]:
        for service in status.virtual_services:
            value = read(service)
            if value is not None:
                yield (service.name,), float(value)

    return samples


def _server_labels(service: ServiceStatus, server: ServerStatus) -> Labels:
    return service.name, server.address, str(server.port), server.name or ""


def _per_server(
    read: Callable[[ServerStatus], float | None],
) -> Callable[[DirectorStatus], Iterable[Sample]]:
    def samples(status: DirectorStatus) -> Iterator[Sample]:
        for service in status.virtual_services:
            for server in service.real_servers:
                value = read(server)
                if value is not None:
                    yield _server_labels(service, server), float(value)

    return samples


def _per_check(
    read: Callable[[CheckStatus], float | None],
) -> Callable[[DirectorStatus], Iterable[Sample]]:
    def samples(status: DirectorStatus) -> Iterator[Sample]:
        for service in status.virtual_services:
            for server in service.real_servers:
                for check in server.checks:
                    value = read(check)
                    if value is not None:
                        where = service.name, server.address, str(server.port)
                        yield (*where, check.check, check.key), float(value)

    return samples


def _states(status: DirectorStatus) -> Iterator[Sample]:
    for service in status.virtual_services:
        for server in service.real_servers:
            yield (*_server_labels(service, server), server.state), 1.0


def _modes(status: DirectorStatus) -> Iterator[Sample]:
    for service in status.virtual_services:
        for mode in MODES:
            yield (service.name, mode), float(mode == service.mode)


def _info(status: DirectorStatus) -> Iterator[Sample]:
    yield (status.node, status.version), 1.0


def _milli(value: float | None) -> float | None:
    return None if value is None else value / 1000.0


METRICS: Final = (
    Described("kernelbal_info", "Always 1.", ("node", "version"), _info),
    Described("kernelbal_uptime_seconds", "Since the daemon started.", (), _one(lambda s: s.uptime_s)),
    Described(
        "kernelbal_config_refused",
        "1 when a newer site or node document is not in force because it is wrong.",
        (),
        _one(lambda s: bool(s.config.refused)),
    ),
    Described(
        "kernelbal_config_age_seconds", "Since the site was loaded.", (), _one(lambda s: s.config.loaded_s)
    ),
    Described(
        "kernelbal_rounds_total",
        "Rounds of reconciliation.",
        (),
        _one(lambda s: s.reconcile.rounds),
        counter=True,
    ),
    Described(
        "kernelbal_changes_total",
        "Actions performed on the kernel.",
        (),
        _one(lambda s: s.reconcile.changes),
        counter=True,
    ),
    Described(
        "kernelbal_repairs_total",
        "Actions that repaired what others had changed.",
        (),
        _one(lambda s: s.reconcile.repairs),
        counter=True,
    ),
    Described(
        "kernelbal_failures_total",
        "Actions that the kernel refused.",
        (),
        _one(lambda s: s.reconcile.failures),
        counter=True,
    ),
    Described(
        "kernelbal_converged",
        "1 when the kernel was as wanted after the last round.",
        (),
        _one(lambda s: s.reconcile.converged),
    ),
    Described(
        "kernelbal_last_round_age_seconds", "Age of the last round.", (), _one(lambda s: s.reconcile.last_s)
    ),
    Described(
        "kernelbal_last_round_seconds",
        "Duration of the last round.",
        (),
        _one(lambda s: _milli(s.reconcile.duration_ms)),
    ),
    Described(
        "kernelbal_checker_alive", "1 while the health checker runs.", (), _one(lambda s: s.checker.alive)
    ),
    Described("kernelbal_checker_probes", "Probes that it runs.", (), _one(lambda s: s.checker.probes)),
    Described(
        "kernelbal_checker_late_seconds",
        "99th percentile of how late probes start.",
        (),
        _one(lambda s: _milli(s.checker.late_ms)),
    ),
    Described(
        "kernelbal_checker_restarts_total",
        "How often the checker was started anew.",
        (),
        _one(lambda s: s.checker.restarts),
        counter=True,
    ),
    Described(
        "kernelbal_checker_last_age_seconds",
        "Age of the checker's last word.",
        (),
        _one(lambda s: s.checker.last_s),
    ),
    Described(
        "kernelbal_connection_table_buckets",
        "Size of the IPVS connection table.",
        (),
        _one(lambda s: s.table.buckets),
    ),
    Described(
        "kernelbal_connection_table_connections",
        "Connections in the IPVS connection table.",
        (),
        _one(lambda s: s.table.connections),
    ),
    Described(
        "kernelbal_counters_age_seconds",
        "Age of the connection counts and rates below.",
        (),
        _one(lambda s: s.counters_s),
    ),
    Described(
        "kernelbal_service_mode", "1 for the mode that the service is in.", (*_SERVICE, "mode"), _modes
    ),
    Described(
        "kernelbal_service_mode_age_seconds", "Age of the mode.", _SERVICE, _per_service(lambda s: s.since_s)
    ),
    Described(
        "kernelbal_service_usable_servers",
        "Real servers that may take connections.",
        _SERVICE,
        _per_service(lambda s: s.usable),
    ),
    Described(
        "kernelbal_service_quorum",
        "Real servers that the service needs.",
        _SERVICE,
        _per_service(lambda s: s.quorum),
    ),
    Described(
        "kernelbal_server_up",
        "Health of a real server: 1 up, 0 down, -1 unknown.",
        _SERVER,
        _per_server(lambda s: HEALTH[s.health]),
    ),
    Described(
        "kernelbal_server_state",
        "1 for the state that it is in; there are " + ", ".join(SERVER_STATES) + ".",
        (*_SERVER, "state"),
        _states,
    ),
    Described(
        "kernelbal_server_state_age_seconds", "Age of the state.", _SERVER, _per_server(lambda s: s.since_s)
    ),
    Described("kernelbal_server_weight", "Weight in force.", _SERVER, _per_server(lambda s: s.weight)),
    Described(
        "kernelbal_server_configured_weight",
        "Weight in the site file.",
        _SERVER,
        _per_server(lambda s: s.configured_weight),
    ),
    Described(
        "kernelbal_server_active_connections", "Active connections.", _SERVER, _per_server(lambda s: s.active)
    ),
    Described(
        "kernelbal_server_inactive_connections",
        "Inactive connections.",
        _SERVER,
        _per_server(lambda s: s.inactive),
    ),
    Described(
        "kernelbal_server_connections_total",
        "Connections since it was added to the kernel.",
        _SERVER,
        _per_server(lambda s: s.connections),
        counter=True,
    ),
    Described(
        "kernelbal_server_in_bytes_total",
        "Bytes towards it since it was added to the kernel.",
        _SERVER,
        _per_server(lambda s: s.bytes_in),
        counter=True,
    ),
    Described(
        "kernelbal_server_out_bytes_total",
        "Bytes from it since it was added to the kernel; 0 for dsr and tunnel: replies bypass the director.",
        _SERVER,
        _per_server(lambda s: s.bytes_out),
        counter=True,
    ),
    Described(
        "kernelbal_check_up", "1 up, 0 down, -1 unknown.", _CHECK, _per_check(lambda c: HEALTH[c.health])
    ),
    Described(
        "kernelbal_check_change_age_seconds",
        "Since it changed last.",
        _CHECK,
        _per_check(lambda c: c.since_s),
    ),
    Described(
        "kernelbal_check_probe_age_seconds", "Age of the last probe.", _CHECK, _per_check(lambda c: c.last_s)
    ),
    Described(
        "kernelbal_check_response_seconds",
        "Duration of the last good probe.",
        _CHECK,
        _per_check(lambda c: _milli(c.response_ms)),
    ),
    Described(
        "kernelbal_check_warning",
        "1 when it is good but will not stay so, such as a certificate that expires soon.",
        _CHECK,
        _per_check(lambda c: bool(c.warning)),
    ),
)
"""Every metric."""


class _FromStatus(Collector):
    def __init__(self, status: DirectorStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        for each in METRICS:
            kind = CounterMetricFamily if each.counter else GaugeMetricFamily
            family = kind(each.name, each.help, labels=each.labels)
            for labels, value in each.read(self._status):
                family.add_metric(labels, value)
            yield family


def render(status: DirectorStatus) -> bytes:
    """Return all metrics as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_FromStatus(status))
    return generate_latest(registry)
