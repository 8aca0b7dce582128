"""An ownership record in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from kernelbal.plan.kind import Ownership


@dataclass(slots=True)
class MemoryStore:
    """Where a reconciler under test keeps its record.

    Attributes:
        saved: every record that was written, the newest last.
    """

    saved: list[Ownership] = field(default_factory=list)

    def load(self) -> Ownership:
        """Return the newest record; an empty one when there is none."""
        return self.saved[-1] if self.saved else Ownership()

    def save(self, ownership: Ownership) -> None:
        """Replace the record."""
        self.saved.append(ownership)
