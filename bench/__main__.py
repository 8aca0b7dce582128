"""`make bench-apply`, `bench-health`, `bench-status`: how fast it is, also beside the programs of today."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.cli.output import put, say
from kernelbal.lab.names import BackendName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.apply.verdict import ApplyFigures, ApplyRow
    from bench.health.verdict import HealthRow

EPILOG = """Examples:

make bench-apply

make bench-apply ARGS="--services 1000 --repeat 1"   (a quick look)

.venv/bin/python -m bench apply --check | tail -1 | jq .apply_vs_ipvsadm"""
HEALTH_EPILOG = """Examples:

make bench-health

make bench-health ARGS="--targets 1000 --repeat 1 --seconds 10"   (a quick look)

.venv/bin/python -m bench health --check | tail -1 | jq .cpu_vs_keepalived_5000"""

STATUS_EPILOG = """Examples:

make bench-status

make bench-status ARGS="--services 20 --repeat 1"   (a quick look)

.venv/bin/python -m bench status --check | tail -1 | jq .hold_reload_ms"""

DEFAULT_SERVICES = (1000, 10000)
MAX_SERVICES = 13_000
DEFAULT_TARGETS = (1000, 5000)
MAX_TARGETS = 50_000

app = typer.Typer(
    help="Benchmarks on a fresh kernel.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
)

Services = Annotated[
    list[int] | None,
    typer.Option(
        "--services",
        min=1,
        max=MAX_SERVICES,
        help="Virtual services with 10 real servers each; may be repeated.  [default: 1000 and 10000]",
        show_default=False,
    ),
]
Repeat = Annotated[int, typer.Option("--repeat", min=1, max=100, help="Measurements of each kind.")]
Back = Annotated[BackendName, typer.Option("--backend", help="What provides the kernel.")]
Check = Annotated[bool, typer.Option("--check", help="Exit with 1 when a target is missed.")]


Targets = Annotated[
    list[int] | None,
    typer.Option(
        "--targets",
        min=1,
        max=MAX_TARGETS,
        help="Targets that are checked every 5 s; may be repeated.  [default: 1000 and 5000]",
        show_default=False,
    ),
]
StatusServices = Annotated[int, typer.Option("--services", min=1, max=50_000, help="Virtual services.")]
Servers = Annotated[int, typer.Option("--servers", min=1, max=10_000, help="Real servers of each.")]
Seconds = Annotated[float, typer.Option("--seconds", min=5, max=3600, help="How long each is measured.")]


@app.command(epilog=EPILOG)
def apply(
    services: Services = None, repeat: Repeat = 5, backend: Back = BackendName.AUTO, check: Check = False
) -> int:
    """Time how kernelbal, ipvsadm and keepalived program a whole site into an empty kernel.

    Prints a table, and as its last line one JSON object with the figures of the largest site.
    """
    from bench.apply.verdict import TARGETS, judge, rows_of
    from bench.outside import measure, measure_help
    from bench.samples import missed
    from kernelbal.lab.backends.choose import choose

    chosen = choose(backend)
    say(f"booting a fresh kernel ({chosen.name}) ...")
    samples = measure(chosen, services or DEFAULT_SERVICES, repeat)
    rows = rows_of([*measure_help(repeat), *samples])
    _print_rows(rows)
    figures = judge(rows)
    failed = [f"{row.measure.value}: {row.fault}" for row in rows if row.fault]
    lines = [*failed, *(missed(figures, TARGETS) if check else ())]
    for line in lines:
        say(f"FAIL {line}")
    _print_summary(figures, rows)
    return ExitCode.FAILED if lines else ExitCode.OK


@app.command(epilog=HEALTH_EPILOG)
def health(
    targets: Targets = None,
    repeat: Repeat = 3,
    seconds: Seconds = 20.0,
    backend: Back = BackendName.AUTO,
    check: Check = False,
) -> int:
    """Compare the processor time that TCP checks take in kernelbal and in keepalived.

    Prints a table, and as its last line one JSON object with the figures.
    """
    from bench.health.verdict import TARGETS, judge, rows_of
    from bench.outside import measure_health
    from bench.samples import missed
    from kernelbal.lab.backends.choose import choose

    chosen = choose(backend)
    say(f"booting a fresh kernel ({chosen.name}) ...")
    rows = rows_of(measure_health(chosen, targets or DEFAULT_TARGETS, repeat, seconds))
    _print_health_rows(rows)
    figures = judge(rows)
    failed = [f"{row.contender.value} with {row.targets} targets: {row.fault}" for row in rows if row.fault]
    lines = [*failed, *(missed(figures, TARGETS) if check else ())]
    for line in lines:
        say(f"FAIL {line}")
    put(
        json.dumps(
            {
                "repeats": repeat,
                **_rounded(figures._asdict()),
                "cpu_s_per_1000": {
                    f"{row.contender.value}_{row.targets}": None
                    if row.fault
                    else round(row.cpu_s_per_1000, 4)
                    for row in rows
                },
            }
        )
    )
    return ExitCode.FAILED if lines else ExitCode.OK


@app.command(epilog=STATUS_EPILOG)
def status(
    services: StatusServices = 200, servers: Servers = 100, repeat: Repeat = 3, check: Check = False
) -> int:
    """Measure what readers of the status and reloads cost a director's event loop.

    Kernel and checker are in memory. Prints a table, and as its last line one JSON object with the figures.
    """
    from bench.status.figures import TARGETS, missed
    from bench.status.measure import measure
    from bench.status.site import Size
    from kernelbal.cli.table import print_table

    say(f"starting a director with {services * servers:,} real servers ...")
    figures = asyncio.run(measure(Size(services, servers), repeat))
    named = zip(figures._fields, figures, TARGETS, strict=True)
    print_table(
        ("figure", "is", "at most"),
        [(name, _number(value, ".2f"), _number(limit, "g")) for name, value, limit in named],
    )
    lines = missed(figures) if check else ()
    for line in lines:
        say(f"FAIL {line}")
    put(json.dumps({"real_servers": services * servers, "repeats": repeat, **_rounded(figures._asdict())}))
    return ExitCode.FAILED if lines else ExitCode.OK


def _print_health_rows(rows: Sequence[HealthRow]) -> None:
    from kernelbal.cli.table import print_table

    header = (
        *("targets", "checked by", "checks", "cpu s/1000", "min", "max"),
        *("director s/1000", "late p99 ms", "peak MiB", ""),
    )
    print_table(header, [_health_cells(row) for row in rows])


def _health_cells(row: HealthRow) -> tuple[str, ...]:
    low_s, high_s = row.spread_s
    return (
        f"{row.targets:,}",
        row.contender.value,
        f"{row.checks:,}",
        f"{row.cpu_s_per_1000:.4f}",
        f"{low_s:.4f}",
        f"{high_s:.4f}",
        _number(row.director_s_per_1000, ".4f"),
        _number(row.late_p99_ms, ".1f"),
        f"{row.peak_rss_mib:.0f}",
        "FAIL" if row.fault else "",
    )


def _rounded(figures: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 4) for name, value in figures.items()}


def _print_rows(rows: Sequence[ApplyRow]) -> None:
    from kernelbal.cli.table import print_table

    header = ("real servers", "measured", "median s", "min", "max", "last/first", "cpu s", "peak MiB", "")
    print_table(header, [_cells(row) for row in rows])


def _cells(row: ApplyRow) -> tuple[str, ...]:
    low_s, high_s = row.spread_s
    return (
        f"{row.real_servers:,}" if row.services else "-",
        row.measure.value.replace("_", " "),
        f"{row.wall_s:.3f}",
        f"{low_s:.3f}",
        f"{high_s:.3f}",
        _number(row.drift, ".2f"),
        _number(row.cpu_s, ".2f"),
        _number(row.peak_rss_mib, ".0f"),
        "FAIL" if row.fault else "",
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _print_summary(figures: ApplyFigures, rows: Sequence[ApplyRow]) -> None:
    largest = max(row.services for row in rows)
    document = {
        "real_servers": max(row.real_servers for row in rows),
        "repeats": len(rows[0].samples),
        **_rounded(figures._asdict()),
        "medians_s": {
            row.measure.value: None if row.fault else round(row.wall_s, 4)
            for row in rows
            if row.services in (0, largest)
        },
    }
    put(json.dumps(document))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], app))
