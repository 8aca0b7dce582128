"""Where the record of a real server is kept: beside what a director on the same machine keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kernelbal.realserver.setup import Record
from kernelbal.store.records import RecordFile
from kernelbal.store.state import StateDirectory

DIRECTORY: Final = "realserver"
RECORD: Final = RecordFile(
    "record.json",
    Record,
    "what was done to this real server",
    "then `kernelbal realserver undo` has nothing to undo",
)


class RecordStore(StateDirectory):
    """The state directory of a real server.

    Args:
        state_dir: kernelbal's state directory; None takes `KERNELBAL_STATE_DIR`, else `/var/lib/kernelbal`.
    """

    def __init__(self, state_dir: Path | None = None) -> None:
        super().__init__(state_dir)
        self._path = self._path / DIRECTORY

    def load_record(self) -> Record:
        """Return the record; an empty one when there is none. It holds over reboots.

        Raises:
            StateError: it cannot be read, or is damaged.
        """
        return self._read(RECORD) or Record()

    def save_record(self, record: Record) -> None:
        """Replace the record; on return it has reached the disk. One without preparations is removed.

        Raises:
            StateError: it cannot be written; then the old one stays.
        """
        if record == Record():
            self._remove(RECORD.name)
        else:
            self._write(RECORD, record)
