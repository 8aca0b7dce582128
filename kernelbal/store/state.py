"""The state directory: what is ours in this kernel, and what to come back to.

Every file is replaced whole. A record that cannot be read is an error: taken for empty, it would turn
everything of ours into foreign objects that nobody removes. A daemon, which has to start, sets it aside.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from kernelbal.errors import RecordDamaged, StateError
from kernelbal.model.ipvs import ServiceKey
from kernelbal.plan.kind import DesiredState, Ownership
from kernelbal.store.boot import boot_id
from kernelbal.store.codec import Malformed
from kernelbal.store.files import (
    make_directory,
    remove_file,
    remove_unfinished,
    replace_both,
    replace_file,
    set_aside,
)
from kernelbal.store.records import MAX_BYTES, OWNERSHIP, SNAPSHOT, NewerLayout, RecordFile, Snapshot

DEFAULT_DIRECTORY: Final = Path("/var/lib/kernelbal")
DIRECTORY_VARIABLE: Final = "KERNELBAL_STATE_DIR"

HEALTH_FILE: Final = "standings.json"
"""What the daemon remembers of real servers; it belongs to what is in the kernel.

Keeps the name of layout 1, so that an upgrade replaces the old file and a release removes it.
"""
UNCONFIRMED_FILE: Final = "unconfirmed.json"
"""What the daemon goes back to when an apply is not confirmed."""
LOCK_FILE: Final = "lock"
WATCH_FILE: Final = "rollback.lock"
"""Locked by the process that rolls back what is not confirmed, for as long as it lives."""

LOCK_POLL_S: Final = 0.1
"""How often a process that waits for the lock tries again, in seconds."""

_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_AS_ROOT: Final = "run it as root, or name another directory with --state-dir"
_PID_BYTES: Final = 32

T = TypeVar("T")


class Damage(NamedTuple):
    """A record that could not be read.

    Attributes:
        file: its path.
        error: what is wrong with it.
        kept: where it is now; empty when it could not be renamed, and is left alone.
        consequence: what follows.
    """

    file: str
    error: str
    kept: str
    consequence: str


class StateDirectory:
    """The files of one state directory; it is made when something is first written or locked.

    Args:
        path: the directory; None takes `KERNELBAL_STATE_DIR`, and without that `/var/lib/kernelbal`.
        boot: returns the identifier of this boot.
    """

    def __init__(self, path: Path | None = None, boot: Callable[[], str] = boot_id) -> None:
        self._path = path or Path(os.environ.get(DIRECTORY_VARIABLE) or DEFAULT_DIRECTORY)
        self._boot = boot
        self._unreadable: set[str] = set()

    @property
    def path(self) -> Path:
        """The directory."""
        return self._path

    def load(self) -> Ownership:
        """Return the record of this boot; an empty one when there is none, or only one of an earlier boot.

        It is incomplete as long as there is an `owned.json.bad`.

        Raises:
            StateError: the record cannot be read, or is damaged.
        """
        this_boot = self._boot()
        found = self._read(OWNERSHIP)
        bad = self._path / f"{OWNERSHIP.name}.bad"
        lost = OWNERSHIP.name in self._unreadable or os.path.lexists(bad)
        if found is None or found.boot_id != this_boot:
            return Ownership(boot_id=this_boot, lost=lost)
        return replace(found, lost=lost)

    def save(self, ownership: Ownership) -> None:
        """Replace the record; on return it has reached the disk.

        Raises:
            StateError: it cannot be written; then the old one stays.
        """
        self._write(OWNERSHIP, replace(ownership, boot_id=self._boot()))

    def load_snapshot(self) -> Snapshot | None:
        """Return what to come back to, None when nothing awaits confirmation in this boot.

        Raises:
            StateError: the snapshot cannot be read, or is damaged.
        """
        found = self._read(SNAPSHOT)
        return found if found is not None and found.boot_id == self._boot() else None

    def save_snapshot(
        self, state: DesiredState, deadline_at: float, adopted: Iterable[ServiceKey] = ()
    ) -> None:
        """Keep what to come back to; on return it has reached the disk.

        Args:
            state: what is ours now.
            deadline_at: until when to confirm, in seconds on the boot clock.
            adopted: services of others that the apply takes over.

        Raises:
            StateError: it cannot be written.
        """
        self._write(SNAPSHOT, Snapshot(state, deadline_at, self._boot(), frozenset(adopted)))

    def discard_snapshot(self) -> None:
        """Forget the snapshot, if there is one.

        Raises:
            StateError: it cannot be removed.
        """
        self._remove(SNAPSHOT.name)

    def clear(self) -> None:
        """Forget what belongs to the kernel's state: after a release nothing is ours; orders still hold.

        Raises:
            StateError: a file cannot be removed.
        """
        self._remove(SNAPSHOT.name)
        self._remove(HEALTH_FILE)
        self._remove(UNCONFIRMED_FILE)
        self._remove(OWNERSHIP.name)

    def _remove(self, name: str) -> None:
        with _worded(f"cannot remove {self._path / name}"):
            remove_file(self._path / name)

    @contextlib.contextmanager
    def lock(self, patience_s: float = 0.0) -> Iterator[None]:
        """Keep every other apply out until the block ends, or the process does.

        Args:
            patience_s: how long to wait for another holder, in seconds.

        Raises:
            StateError: another process holds the lock; the message names its pid.
        """
        with self._locked(LOCK_FILE, patience_s):
            with contextlib.suppress(OSError):  # they are in nobody's way
                remove_unfinished(self._path)
            yield

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Be the process that rolls back what is not confirmed, until the block ends or the process does.

        Waits until one of an earlier apply has ended.

        Raises:
            StateError: the file to lock cannot be opened.
        """
        with self._locked(WATCH_FILE, math.inf):
            yield

    @property
    def watched(self) -> bool:
        """Whether a process lives that rolls back what is not confirmed.

        Raises:
            StateError: the file that it locks cannot be opened.
        """
        path = self._path / WATCH_FILE
        with _worded(f"cannot read {path}"), contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextlib.contextmanager
    def _locked(self, name: str, patience_s: float) -> Iterator[None]:
        self._make_directory()
        path = self._path / name
        with _worded(f"cannot lock {path}"):
            descriptor = _open_lock(path)
        try:
            give_up_at = time.monotonic() + patience_s
            while not _take(descriptor):
                if time.monotonic() >= give_up_at:
                    raise self._held(descriptor)
                time.sleep(LOCK_POLL_S)
            yield
        finally:
            os.close(descriptor)

    def _held(self, descriptor: int) -> StateError:
        holder = os.pread(descriptor, _PID_BYTES, 0).decode(errors="replace").strip() or "unknown"
        return StateError(
            f"another kernelbal is changing this kernel (pid {holder})",
            "if it is the daemon, stop it with `systemctl stop kernelbal`, or name its socket (`--socket`);"
            f" another command frees {self._path / LOCK_FILE} when it ends",
        )

    def set_damaged_aside(self, records: Iterable[RecordFile[Any]]) -> tuple[Damage, ...]:
        """Rename records that cannot be read to `.bad`, and take them for absent from now on.

        Raises:
            StateError: a newer version has written one; it stays.
        """
        return tuple(damage for record in records if (damage := self._set_aside(record)) is not None)

    def _set_aside(self, record: RecordFile[Any]) -> Damage | None:
        try:
            self._read(record)
        except RecordDamaged as error:
            path, kept = self._path / record.name, ""
            try:
                kept = str(set_aside(path))
            except OSError:
                self._unreadable.add(record.name)
            return Damage(str(path), error.message, kept, record.without)
        return None

    def _read(self, record: RecordFile[T]) -> T | None:
        data = None if record.name in self._unreadable else self._read_bytes(record.name)
        if data is None:
            return None
        path = self._path / record.name
        aside = f"move it away (`mv {path} {path}.bad`): {record.without}"
        try:
            return record.decode(data)
        except NewerLayout as error:
            message = f"{path} holds {record.what}, but {error.message}"
            hint = f"install the version of kernelbal that has written it, or {aside}"
            raise StateError(message, hint) from error
        except Malformed as error:
            message = f"{path} holds {record.what}, but {error.message}"
            raise RecordDamaged(message, f"restore it from a backup, or {aside}") from error

    def _read_bytes(self, name: str) -> bytes | None:
        path = self._path / name
        with _worded(f"cannot read {path}", RecordDamaged), contextlib.suppress(FileNotFoundError):
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) <= MAX_BYTES:
                return data
            raise RecordDamaged(
                f"{path} is larger than {MAX_BYTES // 2**20} MiB, the most that a file of kernelbal has",
                f"restore it from a backup, or move it away (`mv {path} {path}.bad`)",
            )
        return None

    def _write(self, record: RecordFile[T], value: T, copy: str = "") -> None:
        try:
            data = record.encode(value)
        except ValueError as error:
            path = self._path / record.name
            raise StateError(f"cannot write {path}: {error}", "report this: it is a defect") from error
        self._write_bytes(record.name, data, copy)
        self._unreadable.discard(record.name)

    def _write_bytes(self, name: str, data: bytes, copy: str = "") -> None:
        """Replace a file, and its copy where it has one."""
        self._make_directory()
        path = self._path / name
        with _worded(f"cannot write {path}"):
            if copy:
                replace_both(path, self._path / copy, data, _FILE_MODE)
            else:
                replace_file(path, data, _FILE_MODE)

    def _make_directory(self) -> None:
        with _worded(f"cannot make {self._path}"):
            make_directory(self._path, _DIRECTORY_MODE)


def _open_lock(path: Path) -> int:
    """Open the file to lock; on a disk that became read-only the one that is there will do."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _take(descriptor: int) -> bool:
    """Take the lock if it is free, and leave our pid in the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with contextlib.suppress(OSError):  # a full disk does not keep the lock from being held
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return True


@contextlib.contextmanager
def _worded(doing: str, kind: type[StateError] = StateError) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        hint = _AS_ROOT if denied else "check the disk and the path"
        raise kind(f"{doing}: {error.strerror}", hint) from error
