"""As whom a program of a document runs, and within which limits: check scripts and hooks."""

from __future__ import annotations

from pydantic import Field

from kernelbal.model.fields import Model, Name, Switch, Whole


class ProgramSettings(Model):
    """A program that kernelbal runs."""

    user: Name | None = Field(
        None, description="User that runs it; without one, each run has a user id of its own."
    )
    memory_mib: Whole = Field(
        256, ge=16, le=65536, description="Most memory that each of its processes may have."
    )
    processes: Whole = Field(
        64, ge=1, le=4096, description="Most processes that its user may have meanwhile."
    )
    allow_root: Switch = Field(False, description="Run it as root, with `user: root`.")
    allow_writable: Switch = Field(
        False,
        description="Run it though others than root and its user can write it, or a directory above it.",
    )
