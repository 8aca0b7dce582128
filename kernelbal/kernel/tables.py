"""The driver of our nftables tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kernelbal.errors import KernelError
from kernelbal.kernel.driver import Driver, Sockets
from kernelbal.kernel.nftables import Nftables
from kernelbal.kernel.refusals import all_failed
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.kind import ObservedState, Scope
from kernelbal.plan.kinds.tables import FOREIGN_TABLES, TABLES, ReplaceTable


def perform_tables(driver: Nftables, actions: Sequence[ReplaceTable]) -> list[Outcome]:
    """Replace our table; an action that fails does not stop the others."""
    outcomes: list[Outcome] = []
    for action in actions:
        try:
            driver.replace(action.table)
        except KernelError as fault:
            outcomes += all_failed((action,), fault)
        else:
            outcomes.append(Outcome(action, Result.DONE))
    return outcomes


def _observe(sockets: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
    ours = tuple(scope or ())
    if not ours:
        return found
    tables = (sockets.nftables.observe(each) for each in ours)
    foreign = sockets.nftables.foreign_tables({each.title for each in ours})
    present = {table.title: table for table in tables if table is not None}
    return found.having(TABLES, present).having(FOREIGN_TABLES, foreign)


def _perform(sockets: Sockets, actions: Sequence[ReplaceTable]) -> list[Outcome]:
    return perform_tables(sockets.nftables, actions)


def _check(sockets: Sockets, action: ReplaceTable) -> None:
    if not action.table.empty:
        sockets.nftables.check(action.table)


DRIVER: Final = Driver(_observe, _perform, _check)
