"""`kernelbal lab demo`: every example, played and proved on a real kernel."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.lab.demo.names import REQUESTS, ScenarioName
from kernelbal.lab.names import BackendName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kernelbal.lab.demo.events import Event
    from kernelbal.lab.demo.outside import Selection

EPILOG = """Examples:

kernelbal lab demo

kernelbal lab demo --only dsr --only tunnel

kernelbal lab demo --json | jq '.scenarios[].claims[] | select(.ok | not)'"""

Back = Annotated[BackendName, typer.Option("--backend", help="What provides the kernel.")]
Only = Annotated[
    list[ScenarioName] | None,
    typer.Option("--only", metavar="|".join(ScenarioName), help="Play only this scenario; may be repeated."),
]
Requests = Annotated[int, typer.Option("--requests", min=10, help="Requests per virtual service.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document at the end.")]


def demo(
    backend: Back = BackendName.AUTO,
    only: Only = None,
    requests: Requests = REQUESTS,
    as_json: Json = False,
) -> int:
    """Play every example on a real kernel and prove it.

    Says `ok` or `FAIL` for each claim, and exits with 1 on any FAIL.
    """
    from kernelbal.lab.demo.outside import run_demo, select_backend

    selection = select_backend(backend)
    with closing(run_demo(selection.backend, only or (), requests)) as events:
        failed = _as_json(selection, events) if as_json else _as_text(selection, events)
    return ExitCode.FAILED if failed else ExitCode.OK


def _as_text(selection: Selection, events: Iterable[Event]) -> bool:
    from kernelbal.cli.demo_view import DemoView

    with DemoView() as view:
        view.backend(selection)
        return _follow(events, view.show)


def _as_json(selection: Selection, events: Iterable[Event]) -> bool:
    from kernelbal.cli.demo_view import demo_document
    from kernelbal.cli.output import put_json
    from kernelbal.cli.progress import StatusLine
    from kernelbal.lab.demo.events import Doing

    seen: list[Event] = []
    with StatusLine() as status:

        def show(event: Event) -> None:
            seen.append(event)
            if isinstance(event, Doing):
                status.show(f"... {event.text}")

        failed = _follow(events, show)
    put_json(demo_document(selection, seen))
    return failed


def _follow(events: Iterable[Event], show: Callable[[Event], None]) -> bool:
    """Show every event; return whether any claim failed, or none was made at all."""
    from kernelbal.lab.demo.events import Claim

    verdicts = []
    for event in events:
        show(event)
        if isinstance(event, Claim):
            verdicts.append(event.ok)
    return not verdicts or not all(verdicts)
