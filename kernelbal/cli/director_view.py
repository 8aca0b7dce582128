"""The status of a director as people read it, from its daemon or from the kernel alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kernelbal.model.address import with_port
from kernelbal.model.overlay import Mode, ServerState
from kernelbal.model.units import age, counted
from kernelbal.plan.hidden_clients import HINT

if TYPE_CHECKING:
    from kernelbal.model.status import (
        CheckerStatus,
        DirectorStatus,
        FailingStatus,
        KernelStatus,
        RoundStatus,
        ServerStatus,
        ServiceStatus,
        StateStatus,
    )

SHOWN_FAILING = 10
"""Failing objects that are printed."""
STALE_S = 30.0
"""Connection counts that are older get a warning."""


def heading(status: DirectorStatus) -> list[str]:
    """Return the lines above the services."""
    name = f"director {status.node}, " if status.node else ""
    up = "" if status.uptime_s is None else f", up {age(status.uptime_s)}"
    lines = [f"{name}kernelbal {status.version}{up}"]
    if status.reconcile is not None and status.checker is not None:
        lines.append(_loops(status.reconcile, status.checker, status.counters_s))
    elif status.kernel is not None and status.kernel.pending_changes is not None:
        pending = status.kernel.pending_changes
        changes = f"{counted(pending, 'change')} pending (kernelbal plan)"
        lines.append(changes if pending else "kernel matches site.yaml")
    if status.virtual_services or status.kernel is None:
        lines.append(summary(status))
    if status.table.buckets:
        lines.append(
            f"connections {status.table.connections}, connection table {status.table.buckets} buckets"
        )
    return lines


def _loops(reconcile: RoundStatus, checker: CheckerStatus, counters_s: float | None) -> str:
    state = "matches site.yaml" if reconcile.converged else f"does not match site.yaml: {_why_not(reconcile)}"
    checks = f"{counted(checker.probes, 'probe')}" if checker.alive else "checker not running"
    return (
        f"kernel {state} (read {age(reconcile.last_s)} ago), {checks}, "
        f"connection counts {age(counters_s)} old"
    )


def _why_not(reconcile: RoundStatus) -> str:
    failing = f"{counted(reconcile.failing, 'object is', 'objects are')} refused" if reconcile.failing else ""
    return "; ".join(filter(None, (failing, reconcile.error))) or "no round yet"


def failing_lines(objects: Sequence[FailingStatus], count: int) -> list[str]:
    """Return what the kernel refuses: each object with its error, remedy and next attempt."""
    if not count:
        return []
    lines = ["", f"{counted(count, 'object')} refused by the kernel:"]
    for each in objects[:SHOWN_FAILING]:
        lines.append(f"  {each.change}")
        lines.append(f"    {each.operation}: {each.errno + ', ' if each.errno else ''}{each.error}")
        if each.hint:
            lines.append(f"    hint: {each.hint}")
        attempts = f"{counted(each.attempts, 'attempt')}, next in {math.ceil(each.next_s)}s"
        waiting = counted(each.holds_back, "other change waits", "other changes wait")
        lines.append(
            f"    for {age(each.since_s)}, {attempts}" + (f"; {waiting} for it" if each.holds_back else "")
        )
    if more := count - len(objects[:SHOWN_FAILING]):
        lines.append(f"  ... and {more} more: see --json")
    return lines


def _state_problems(state: StateStatus | None) -> list[str]:
    if state is None:
        return []
    lines = [f"state not saved: {each}; a restart loses newer state" for each in state.unsaved]
    for each in state.damaged:
        kept = f"kept as {each.kept}" if each.kept else "it cannot be renamed"
        lines.append(f"state damaged: {each.error}; {kept}; {each.consequence}")
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
    config, checker = status.config, status.checker
    if config is not None and config.confirm_left_s is not None:
        left = age(config.confirm_left_s)
        found.append(f"what was applied awaits confirmation, {left} left: `kernelbal confirm` keeps it")
    if config is not None and config.refused:
        old = f"the site of {age(config.loaded_s)} ago stays in force"
        found.append(f"the documents on disk are not in force: {config.refused}; {old}")
        found += [f"  {problem}" for problem in config.problems]
    found += _state_problems(status.state)
    if checker is not None and (checker.unstable or not checker.alive):
        what = "keeps ending" if checker.unstable else "does not run"
        found.append(f"the health checker {what}; states are {age(checker.last_s)} old")
    found += [
        f"{each.check} is not run, next attempt in {age(each.next_s)}: {each.reason}"
        for each in (checker.quarantined if checker is not None else ())
    ]
    if status.kernel is not None and not status.kernel.ipvs_available:
        found.append("this kernel has no IPVS, or did not load its module; modprobe ip_vs")
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
        f"{service.scheduler}  {mode}{_since(service.since_s)}, "
        f"{service.usable} of {len(service.real_servers)} usable, quorum {service.quorum}"
    )


def _since(since_s: float | None) -> str:
    return "" if since_s is None else f" since {age(since_s)}"


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
        "" if server.since_s is None else age(server.since_s),
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
    if status.reconcile is not None:
        for line in failing_lines(status.reconcile.failing_objects, status.reconcile.failing):
            put(line)
    print_servers(
        SERVER_COLUMNS,
        [
            (service_title(service), [server_row(each) for each in service.real_servers])
            for service in status.virtual_services
        ],
    )
    if status.kernel is not None and status.kernel.ipvs_available:
        _print_kernel(status.kernel)
    for warning in warnings(status):
        warn(warning)


def _print_kernel(kernel: KernelStatus) -> None:
    from kernelbal.cli.output import put
    from kernelbal.cli.table import print_table

    for daemon in kernel.sync_daemons:
        put(f"sync daemon {daemon.role} {daemon.attributes}, {daemon.owner.value}")
    if not kernel.services:
        put("no IPVS services")
        return
    rows: list[tuple[str, ...]] = []
    for service in kernel.services:
        title = service.name or service.owner.value
        rows.append((service.service, service.scheduler, title, "", "", "", ""))
        rows.extend(
            (
                f"  -> {server.address}",
                server.forwarding,
                "" if server.drain_left_s is None else f"draining, {server.drain_left_s:.0f} s left",
                *map(str, (server.weight, server.active, server.inactive, server.connections)),
            )
            for server in service.real_servers
        )
    put("")
    header = ("service / real server", "method", "name or owner", "weight", "active", "inactive", "total")
    print_table(header, rows)
