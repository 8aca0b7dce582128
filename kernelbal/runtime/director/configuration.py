"""Which documents are in force, and what became of those that should have been."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from kernelbal.errors import ConfigError, KernelbalError
from kernelbal.model.status import ConfigStatus, ReloadAnswer
from kernelbal.runtime.director.documents import Documents, Paths, parse, problem_lines, read_texts
from kernelbal.store.daemon import GOOD_NODE_FILE, GOOD_SITE_FILE, DaemonState, GoodDocuments

PROBLEMS_NAMED: Final = 5
"""How many problems an event names; the status has them all."""


class Origin(Enum):
    """Where the documents in force come from."""

    FILES = "files"
    COPY = "copy"
    """The last good copy in the state directory, because the files are broken."""


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


def refused(error: KernelbalError, text: GoodDocuments | None) -> Refused:
    """Return the record of a refusal."""
    return Refused(text, error.message, tuple(problem_lines(error)))


def problems_text(refusal: Refused) -> str:
    """Return the problems of a refusal for an event."""
    more = len(refusal.problems) - PROBLEMS_NAMED
    return "; ".join(refusal.problems[:PROBLEMS_NAMED]) + (f"; and {more} more" if more > 0 else "")


@dataclass(frozen=True, slots=True)
class Start:
    """What the daemon starts with.

    Attributes:
        refusal: why the files are not in force; nothing when they are.
    """

    documents: Documents
    origin: Origin
    refusal: Refused = NOTHING_REFUSED


def start(paths: Paths, state: DaemonState) -> Start:
    """Return the documents to start with: the files, or the last good copy when they are broken.

    Raises:
        KernelbalError: the files are broken, and there is no copy that is any better.
    """
    text: GoodDocuments | None = None
    try:
        text = read_texts(paths)
        return Start(parse(text, paths), Origin.FILES)
    except KernelbalError as error:
        good = state.load_good()
        if good is None:
            raise
        try:
            documents = parse(good, Paths(state.path / GOOD_SITE_FILE, state.path / GOOD_NODE_FILE))
        except ConfigError:
            raise error from None  # a copy of another release: the files' own error is the one to report
        return Start(documents, Origin.COPY, refused(error, text))


def answer_of(refusal: Refused, *, changed: bool) -> ReloadAnswer:
    """Return what to answer to a reload."""
    return ReloadAnswer(
        loaded=not refusal.why, changed=changed and not refusal.why, problems=list(refusal.problems)
    )


def config_status(force: InForce, refusal: Refused, paths: Paths, loaded: str, now: float) -> ConfigStatus:
    """Return the part of the status about documents."""
    copy = "" if force.origin is Origin.FILES else "the last good copy is in force: "
    return ConfigStatus(
        site=str(_absolute(paths.site)),
        node=str(_absolute(paths.node)),
        digest=force.documents.digest,
        loaded=loaded,
        loaded_s=round(max(0.0, now - force.at), 3),
        refused=copy + refusal.why if refusal.why else "",
        problems=list(refusal.problems),
    )


def _absolute(path: Path) -> Path:
    return path.absolute()
