"""The state directory: the record of what is ours, and what an unconfirmed apply comes back to.

Files are replaced atomically and have reached the disk before the kernel is changed. A record of another
boot counts for nothing, because a reboot takes everything that we put into the kernel with it.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from kernelbal.errors import StateError
from kernelbal.kernel import codec
from kernelbal.kernel.boot import boot_id
from kernelbal.model.state import DesiredState, Ownership

VERSION = 1
"""Version of the files' format; another one is refused, never guessed at."""

_Value = TypeVar("_Value")

LOCK_POLL_S = 0.1
"""How often a process that waits for the directory tries again, in seconds."""

_OWNED = "owned.json"
_SNAPSHOT = "snapshot.json"
_LOCK = "lock"


class Snapshot(NamedTuple):
    """What an unconfirmed apply comes back to, and when (seconds on the boot clock)."""

    state: DesiredState
    deadline_at: float


class StateDirectory:
    """A directory of our own, by default `/var/lib/kernelbal`, made when it is first written to."""

    def __init__(self, path: Path, this_boot: Callable[[], str] = boot_id) -> None:
        self._path = path
        self._this_boot = this_boot

    def load(self) -> Ownership:
        """Return the record of this boot; an empty one when there is none.

        Raises:
            StateError: the record cannot be read or is damaged; it is left as it is.
        """
        this_boot = self._this_boot()
        document = self._read(_OWNED)
        if document is None or document["boot_id"] != this_boot:
            return Ownership(boot_id=this_boot)
        return self._decoded(_OWNED, lambda: codec.decode_ownership(document))

    def save(self, ownership: Ownership) -> None:
        """Replace the record; on return it has reached the disk.

        Raises:
            StateError: it cannot be written; the old record still holds.
        """
        self._write(_OWNED, codec.encode_ownership(ownership) | {"boot_id": self._this_boot()})

    def clear(self) -> None:
        """Forget everything; after a release nothing is ours."""
        for name in (_OWNED, _SNAPSHOT):
            self._remove(name)

    def load_snapshot(self) -> Snapshot | None:
        """Return what an unconfirmed apply of this boot comes back to, or None.

        Raises:
            StateError: it cannot be read or is damaged.
        """
        document = self._read(_SNAPSHOT)
        if document is None or document["boot_id"] != self._this_boot():
            return None
        state = self._decoded(_SNAPSHOT, lambda: codec.decode_state(document["state"]))
        return Snapshot(state, float(document["deadline_at"]))

    def save_snapshot(self, state: DesiredState, deadline_at: float) -> None:
        """Record what to come back to unless confirmed until `deadline_at` (seconds on the boot clock).

        Raises:
            StateError: it cannot be written.
        """
        document = {"state": codec.encode_state(state), "deadline_at": deadline_at}
        self._write(_SNAPSHOT, document | {"boot_id": self._this_boot()})

    def discard_snapshot(self) -> None:
        """Keep what was applied."""
        self._remove(_SNAPSHOT)

    @contextmanager
    def lock(self, patience_s: float = 0.0) -> Iterator[None]:
        """Hold the directory, so that no other apply runs meanwhile.

        Args:
            patience_s: how long to wait for another holder, in seconds.

        Raises:
            StateError: another process holds it; the message names it.
        """
        self._make()
        path = self._path / _LOCK
        with self._worded("open", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            give_up_at = time.monotonic() + patience_s
            while not _try_lock(descriptor):
                if time.monotonic() >= give_up_at:
                    holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                    raise StateError(
                        f"another kernelbal is changing this kernel (process {holder})",
                        "wait until it is done, then try again",
                    )
                time.sleep(LOCK_POLL_S)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    # -- files -----------------------------------------------------------------------------------------------

    def _make(self) -> None:
        with self._worded("make", self._path):
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self._path / name
        with self._worded("read", path):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        document = self._decoded(name, lambda: json.loads(data))
        if not isinstance(document, dict) or document.get("version") != VERSION or "boot_id" not in document:
            raise self._damaged(name)
        return document

    def _decoded(self, name: str, decode: Callable[[], _Value]) -> _Value:
        try:
            return decode()
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise self._damaged(name) from error

    def _damaged(self, name: str) -> StateError:
        return StateError(
            f"{self._path / name} is damaged or of another version",
            "move it away; what kernelbal put into the kernel then counts as foreign until the next apply",
        )

    def _write(self, name: str, document: dict[str, Any]) -> None:
        self._make()
        path = self._path / name
        temporary = path.with_suffix(".new")
        data = json.dumps({"version": VERSION, **document}, separators=(",", ":")).encode()
        with self._worded("write", path):
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            self._sync_directory()

    def _remove(self, name: str) -> None:
        with self._worded("remove", self._path / name), suppress(FileNotFoundError):
            (self._path / name).unlink()
            self._sync_directory()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _worded(self, verb: str, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"cannot {verb} {path}: {error.strerror}",
                "run as root, or name another directory with --state-dir",
            ) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
