"""Programs of a document: where they are, and as whom they run."""

from __future__ import annotations

from collections.abc import Iterator

from kernelbal.config.violation import Path, Violation, shown
from kernelbal.model.program import ProgramSettings


def program_conflicts(argv: Path, program: str, user: Path, settings: ProgramSettings) -> Iterator[Violation]:
    """Yield what is wrong with a program.

    Args:
        argv: the setting that names the program.
        program: its path.
        user: the setting of its user.
        settings: as whom it runs.
    """
    if not program.startswith("/"):
        hint = "`command -v` says where a program is"
        yield Violation((*argv, 0), f"program `{shown(program)}`", "a full path", hint)
    if settings.user == "root" and not settings.allow_root:
        hint = "remove it: each run has a user id of its own; or name another user, or add `allow_root: true`"
        yield Violation(user, "a program that runs as root", "an unprivileged user", hint)
