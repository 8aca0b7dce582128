"""The director's status as people read it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from kernelbal.model.address import with_port
from kernelbal.model.standing import Mode, ServerState
from kernelbal.model.units import counted
from kernelbal.plan.hidden_clients import HINT

if TYPE_CHECKING:
    from kernelbal.model.status import DirectorStatus, ServerStatus, ServiceStatus

STALE_S = 30.0
"""Connection counts that are older get a warning."""


def age(seconds: float | None) -> str:
    """Return an age with its largest two units: `5s`, `3m20s`, `2h5m`, `4d1h`; `never` for None."""
    if seconds is None:
        return "never"
    left = max(0, int(seconds))
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"


def heading(status: DirectorStatus) -> list[str]:
    """Return the lines above the services."""
    reconcile, checker = status.reconcile, status.checker
    state = "matches site.yaml" if reconcile.converged else f"does not match site.yaml: {reconcile.error}"
    checks = f"{counted(checker.probes, 'probe')}" if checker.alive else "checker not running"
    lines = [
        f"director {status.node}, kernelbal {status.version}, up {age(status.uptime_s)}",
        f"kernel {state} (read {age(reconcile.last_s)} ago), {checks}, "
        f"connection counts {age(status.counters_s)} old",
        summary(status),
    ]
    if status.table.buckets:
        lines.append(
            f"connections {status.table.connections}, connection table {status.table.buckets} buckets"
        )
    return lines


def summary(status: DirectorStatus) -> str:
    """Return how many there are of everything, and how many of them are not simply serving."""
    services = status.virtual_services
    servers = [server for service in services for server in service.real_servers]
    modes = Counter(service.mode.value for service in services if service.mode is not Mode.SERVING)
    states = Counter(server.state.value for server in servers if server.state is not ServerState.SERVING)
    return (
        f"virtual services {len(services)}{_exceptions(modes)}, "
        f"real servers {len(servers)}{_exceptions(states)}"
    )


def _exceptions(counts: Counter[Any]) -> str:
    exceptions = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    return f" ({exceptions})" if exceptions else ""


def warnings(status: DirectorStatus) -> list[str]:
    """Return what needs attention."""
    found = []
    if status.config.confirm_left_s is not None:
        left = age(status.config.confirm_left_s)
        found.append(f"what was applied awaits confirmation, {left} left: `kernelbal confirm` keeps it")
    if status.config.refused:
        old = f"the site of {age(status.config.loaded_s)} ago stays in force"
        found.append(f"the documents on disk are not in force: {status.config.refused}; {old}")
        found += [f"  {problem}" for problem in status.config.problems]
    if not status.checker.alive:
        found.append(f"the health checker does not run; states are {age(status.checker.last_s)} old")
    if status.counters_s is None or status.counters_s > STALE_S:
        found.append(f"connection counts are old: {age(status.counters_s)}")
    if status.table.warning:
        found.append(status.table.warning)
    if status.table.hidden_clients:
        found.append(f"{status.table.hidden_clients}; {HINT}")
    for service in status.virtual_services:
        for server in service.real_servers:
            said = dict.fromkeys(check.warning for check in server.checks if check.warning)
            found += [f"{service.name}, {server_text(server)}: {each}" for each in said]
    return found


def service_title(service: ServiceStatus) -> str:
    """Return the line above a service's real servers."""
    mode = service.mode.value if service.mode is Mode.SERVING else service.mode.value.upper()
    return (
        f"{service.name}  {service.address} {service.protocol} {service.ports}  {service.forwarding} "
        f"{service.scheduler}  {mode} since {age(service.since_s)}, "
        f"{service.usable} of {len(service.real_servers)} usable, quorum {service.quorum}"
    )


def server_text(server: ServerStatus) -> str:
    """Return what a real server is called."""
    where = with_port(server.address, server.port)
    return f"{server.name} {where}" if server.name else where


def server_row(server: ServerStatus) -> tuple[str, ...]:
    """Return the row of a real server."""
    weight = str(server.weight)
    if server.weight != server.configured_weight:
        weight = f"{server.weight}/{server.configured_weight}"
    return (
        server_text(server),
        server.state.value,
        age(server.since_s),
        weight,
        str(server.active),
        str(server.inactive),
        _rate(server.connections_per_s),
        _rate(server.bytes_in_per_s),
        _rate(server.bytes_out_per_s),
        why(server),
    )


def why(server: ServerStatus) -> str:
    """Return why a real server is not simply serving with its weight."""
    parts = [server.reason] if server.reason else []
    if server.weight_reason and server.weight_reason not in parts:
        parts.append(server.weight_reason)
    admin = server.admin
    if admin is not None:
        who = f"by {admin.by}" + (f": {admin.reason}" if admin.reason else "")
        if not server.reason.endswith(who):  # `reason` may say so already
            parts.append(f"{admin.order.value} {who}")
        if admin.left_s is not None and not admin.done:
            parts.append(f"cut in {age(admin.left_s)}")
    return "; ".join(parts)


def _rate(value: float | None) -> str:
    if value is None:
        return ""
    for unit in ("", "k", "M", "G"):
        if value < 1000:
            return f"{value:.1f}{unit}".replace(".0", "") if value < 100 else f"{value:.0f}{unit}"
        value /= 1000
    return f"{value:.0f}T"


def print_status(status: DirectorStatus) -> None:
    """Print everything."""
    from kernelbal.cli.output import put, warn
    from kernelbal.cli.table import SERVER_COLUMNS, print_servers

    for line in heading(status):
        put(line)
    print_servers(
        SERVER_COLUMNS,
        [
            (service_title(service), [server_row(each) for each in service.real_servers])
            for service in status.virtual_services
        ],
    )
    for warning in warnings(status):
        warn(warning)
