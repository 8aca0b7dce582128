"""Which documents are in force, and what became of those that should have been."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

from kernelbal.errors import ConfigError, KernelbalError, StateError
from kernelbal.model.overlay import OperatorKey, Order
from kernelbal.model.status import ConfigStatus, ReloadAnswer
from kernelbal.runtime.director.documents import Documents, Paths, parse, problem_lines, read_texts
from kernelbal.store.daemon import GOOD, DaemonState, GoodDocuments, Unconfirmed

PROBLEMS_NAMED: Final = 5
"""How many problems an event names; the status has them all."""


class Origin(Enum):
    """Where the documents in force come from."""

    FILES = "files"
    COPY = "copy"
    """The last good copy in the state directory, because the files are broken."""
    BEFORE = "before"
    """Those before an apply that was not confirmed."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The documents in force.

    Attributes:
        at: since when, in seconds on the boot clock.
    """

    documents: Documents
    origin: Origin
    at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Documents that are not in force, and why not.

    Attributes:
        text: as they were written; None when they could not be read.
        why: in one sentence.
        problems: one line each, with their places.
    """

    text: GoodDocuments | None
    why: str
    problems: tuple[str, ...]


NOTHING_REFUSED: Final = Refused(None, "", ())
NOT_CONFIRMED: Final = "rolled back: what was applied was not confirmed in time"
APPLY_AGAIN: Final = "the files still hold it: correct them, or run `kernelbal apply --confirm 60s` again"
_NOT_FILES: Final = {
    Origin.FILES: "",
    Origin.COPY: "the last good copy is in force: ",
    Origin.BEFORE: "the documents before are in force: ",
}


def refused(error: KernelbalError, text: GoodDocuments | None) -> Refused:
    """Return the record of a refusal."""
    return Refused(text, error.message, tuple(problem_lines(error)))


def refusal_text(refusal: Refused, origin: Origin) -> str:
    """Return a refusal for an event, with what is in force instead."""
    return f"{_NOT_FILES[origin]}{refusal.why}: {problems_text(refusal)}"


def problems_text(refusal: Refused) -> str:
    """Return the problems of a refusal for an event."""
    more = len(refusal.problems) - PROBLEMS_NAMED
    return "; ".join(refusal.problems[:PROBLEMS_NAMED]) + (f"; and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Start:
    """What the daemon starts with.

    Attributes:
        refusal: why the files are not in force; nothing when they are.
        unconfirmed: what awaits confirmation, or None.
        orders: that come back with documents of before an apply; None: those in force stay.
    """

    documents: Documents
    origin: Origin
    refusal: Refused = NOTHING_REFUSED
    unconfirmed: Unconfirmed | None = None
    orders: dict[OperatorKey, Order] | None = None


def start(paths: Paths, state: DaemonState, now: float) -> Start:
    """Return the documents to start with.

    They are the files, or the last good copy when those are broken. What was applied and not confirmed in
    time, also because the daemon was away, is taken back here; on a disk that takes no record of it, again at
    the next start.

    Args:
        paths: of the documents.
        state: the state directory.
        now: seconds on the boot clock.

    Raises:
        KernelbalError: the files are broken, and there is no copy that is any better.
    """
    found = _files_or_copy(paths, state)
    record = state.load_unconfirmed()
    if record is None:
        return found
    if fingerprint(found.documents.text) != record.applied:
        with contextlib.suppress(StateError):
            state.discard_unconfirmed()
        return found
    if now < record.deadline_at and not record.over:
        return replace(found, unconfirmed=record)
    try:
        before = parse(texts_before(record), paths)
    except KernelbalError as error:
        why = "cannot go back to the documents before, which this release refuses"
        return replace(found, refusal=Refused(None, why, tuple(problem_lines(error))))
    refusal = Refused(found.documents.text, NOT_CONFIRMED, (APPLY_AGAIN,))
    if record.over:
        return Start(before, Origin.BEFORE, refusal)
    with contextlib.suppress(StateError):
        state.save_orders(record.orders)
        state.save_unconfirmed(replace(record, over=True))
    return Start(before, Origin.BEFORE, refusal, orders=record.orders)


def texts_before(record: Unconfirmed) -> GoodDocuments:
    """Return the documents before an apply."""
    return GoodDocuments(record.site.encode(), record.node.encode())


def fingerprint(text: GoodDocuments) -> str:
    """Return what tells both documents from others."""
    return hashlib.sha256(b"".join(hashlib.sha256(each).digest() for each in text)).hexdigest()


def _files_or_copy(paths: Paths, state: DaemonState) -> Start:
    text: GoodDocuments | None = None
    try:
        text = read_texts(paths)
        return Start(parse(text, paths), Origin.FILES)
    except KernelbalError as error:
        try:
            good = state.load_good()
        except StateError:
            good = None
        if good is None:
            raise
        try:
            documents = parse(good, Paths(state.path / GOOD.name, state.path / GOOD.name))
        except ConfigError:
            raise error from None  # a copy of another release: the files' own error is the one to report
        return Start(documents, Origin.COPY, refused(error, text))


def answer_of(refusal: Refused, *, changed: bool) -> ReloadAnswer:
    """Return what to answer to a reload."""
    return ReloadAnswer(
        loaded=not refusal.why, changed=changed and not refusal.why, problems=list(refusal.problems)
    )


def config_status(
    force: InForce, refusal: Refused, unconfirmed: Unconfirmed | None, paths: Paths, loaded: str, now: float
) -> ConfigStatus:
    """Return the part of the status about documents."""
    return ConfigStatus(
        site=str(_absolute(paths.site)),
        node=str(_absolute(paths.node)),
        digest=force.documents.digest,
        loaded=loaded,
        loaded_s=round(max(0.0, now - force.at), 3),
        refused=_NOT_FILES[force.origin] + refusal.why if refusal.why else "",
        problems=list(refusal.problems),
        confirm_left_s=None if unconfirmed is None else round(max(0.0, unconfirmed.deadline_at - now), 1),
    )


def _absolute(path: Path) -> Path:
    return path.absolute()
