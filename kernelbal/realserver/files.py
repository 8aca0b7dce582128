"""The driver of the files that bring a preparation back at boot."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from kernelbal.errors import StateError
from kernelbal.kernel.driver import Driver, Sockets
from kernelbal.plan.action import AS_ROOT, Outcome, Result
from kernelbal.plan.kind import ObservedState, Scope
from kernelbal.plan.kinds.files import FILES, RemoveFile, WriteFile
from kernelbal.realserver.persist.manager import drop_in_directory, file_mode
from kernelbal.store.files import remove_file
from kernelbal.store.placed import PlacedFile, place


def _observe(sockets: Sockets, scope: Scope, found: ObservedState) -> ObservedState:
    return found.having(FILES, {path: _text(Path(path)) for path in scope or ()})


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"cannot read {path}: {error}", "move it away, or use --persist none") from error


def _perform(sockets: Sockets, actions: Sequence[WriteFile | RemoveFile]) -> list[Outcome]:
    return [_change(action) for action in actions]


def _change(action: WriteFile | RemoveFile) -> Outcome:
    path = Path(action.key)
    contents = action.contents if isinstance(action, WriteFile) else action.before
    try:
        if contents is not None:
            place(PlacedFile(path, contents, mode=file_mode(action.key)))
        else:
            remove_file(path)
            _remove_if_empty(drop_in_directory(action.key))
    except StateError as error:
        return Outcome(action, Result.FAILED, 0, error.message, error.hint or "")
    except OSError as error:
        message = f"cannot remove {error.filename}: {error.strerror}"
        return Outcome(action, Result.FAILED, error.errno or 0, message, AS_ROOT)
    return Outcome(action, Result.DONE)


def _remove_if_empty(directory: str) -> None:
    if directory:
        with suppress(OSError):  # somebody else's drop-ins are in it, or it is gone
            Path(directory).rmdir()


FILES_DRIVER: Final = Driver(_observe, _perform)
