"""The state directory: nothing half-written, nothing silently forgotten, one writer at a time."""

import errno
import math
import multiprocessing
import os
import stat
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from kernelbal.errors import StateError
from kernelbal.model.address import Address
from kernelbal.model.ipvs import ServiceKey
from kernelbal.model.network import Sysctl
from kernelbal.plan.kinds.services import SERVICES, OwnedServices
from kernelbal.store.records import MAX_BYTES
from kernelbal.store.state import DEFAULT_DIRECTORY, DIRECTORY_VARIABLE, StateDirectory
from tests.support.states import desired_of, owned_of

THIS_BOOT = "5f1b"
OWNED = owned_of(boot_id=THIS_BOOT, links=frozenset({"tunl0"}), sysctls={"net/ipv4/ip_forward": "0"})
STATE = desired_of(sysctls=(Sysctl("net/ipv4/ip_forward", "0", "As before."),))


def this_boot() -> str:
    return THIS_BOOT


@pytest.fixture
def store(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "lib/kernelbal", this_boot)


def after_a_reboot(store: StateDirectory) -> StateDirectory:
    return StateDirectory(store.path, lambda: "9c0d")


class TestWhere:
    def test_argument_then_variable_then_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(DIRECTORY_VARIABLE, "/srv/state")
        assert StateDirectory(Path("/tmp/x")).path == Path("/tmp/x")
        assert StateDirectory().path == Path("/srv/state")
        monkeypatch.setenv(DIRECTORY_VARIABLE, "")
        assert StateDirectory().path == DEFAULT_DIRECTORY
        monkeypatch.delenv(DIRECTORY_VARIABLE)
        assert StateDirectory().path == DEFAULT_DIRECTORY


class TestOwnership:
    def test_without_a_record_nothing_is_ours(self, store: StateDirectory) -> None:
        assert store.load() == owned_of(boot_id=THIS_BOOT)
        assert not store.path.exists()

    def test_record_comes_back(self, store: StateDirectory) -> None:
        store.save(OWNED)
        assert store.load() == OWNED
        store.save(owned_of(boot_id=THIS_BOOT))
        assert store.load() == owned_of(boot_id=THIS_BOOT)

    def test_record_is_of_the_boot_that_it_was_written_in(self, store: StateDirectory) -> None:
        store.save(owned_of(boot_id="", links=frozenset({"tunl0"})))
        assert store.load().boot_id == THIS_BOOT

    def test_record_of_another_boot_counts_for_nothing(self, store: StateDirectory) -> None:
        store.save(OWNED)
        assert after_a_reboot(store).load() == owned_of(boot_id="9c0d")

    def test_only_its_owner_may_read(self, store: StateDirectory) -> None:
        store.save(OWNED)
        (record,) = store.path.iterdir()
        assert record.name == "owned.json"
        assert stat.S_IMODE(record.stat().st_mode) == 0o600
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o700

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"schema":2}', b'{"schema":0}'])
    def test_damaged_record_is_an_error_and_stays(self, store: StateDirectory, content: bytes) -> None:
        store.save(OWNED)
        record = store.path / "owned.json"
        record.write_bytes(content)
        with pytest.raises(StateError, match="the ownership record, but it") as caught:
            store.load()
        assert f"mv {record}" in str(caught.value.hint)
        assert record.read_bytes() == content

    def test_record_is_incomplete_while_a_damaged_one_is_kept(self, store: StateDirectory) -> None:
        store.save(OWNED)
        assert not store.load().lost
        bad = store.path / "owned.json.bad"
        bad.touch()
        assert store.load() == replace(OWNED, lost=True)
        store.save(store.load())
        bad.unlink()
        assert store.load() == OWNED, "that is not written"

    def test_file_that_is_too_large_is_refused_before_it_is_read_whole(
        self, store: StateDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.save(OWNED)
        with (store.path / "owned.json").open("r+b") as file:
            file.truncate(MAX_BYTES + 1)  # a hole: it takes no room on the disk
        with pytest.raises(StateError, match=r"owned\.json is larger than 256 MiB") as caught:
            store.load()
        assert caught.value.hint is not None
        assert "move it away" in caught.value.hint

    def test_number_that_is_none_is_not_written(self, store: StateDirectory) -> None:
        store.save(OWNED)
        with pytest.raises(StateError, match="drain_s: nan is not a finite number"):
            store.save(
                OWNED.having(
                    SERVICES, OwnedServices(drain_s={ServiceKey(2, 6, Address(bytes(4)), 80): math.nan})
                )
            )
        assert store.load() == OWNED

    def test_place_that_is_no_directory_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StateError, match="cannot make") as caught:
            StateDirectory(tmp_path / "file", this_boot).save(OWNED)
        assert caught.value.hint


class TestSnapshot:
    def test_comes_back_until_it_is_discarded(self, store: StateDirectory) -> None:
        assert store.load_snapshot() is None
        store.save_snapshot(STATE, 99.5)
        found = store.load_snapshot()
        assert found is not None
        assert (found.state, found.deadline_at) == (STATE, 99.5)
        store.discard_snapshot()
        assert store.load_snapshot() is None
        store.discard_snapshot()

    def test_snapshot_of_another_boot_awaits_nothing(self, store: StateDirectory) -> None:
        store.save_snapshot(STATE, 99.5)
        assert after_a_reboot(store).load_snapshot() is None

    def test_damaged_snapshot_is_an_error(self, store: StateDirectory) -> None:
        store.save_snapshot(STATE, 99.5)
        (store.path / "snapshot.json").write_text("{}")
        with pytest.raises(StateError, match="kernelbal rollback"):
            store.load_snapshot()


def hold(path: Path, pipe: Connection) -> None:
    """Another process that holds the lock until it is told to let go, or dies."""
    with StateDirectory(path, this_boot).lock():
        pipe.send("held")
        pipe.recv()


class TestLock:
    def test_second_process_is_refused_and_told_by_whom(self, store: StateDirectory) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        holder = context.Process(target=hold, args=(store.path, theirs))
        holder.start()
        try:
            assert ours.recv() == "held"
            with pytest.raises(StateError, match=rf"pid {holder.pid}\b"), store.lock():
                pytest.fail("two hold the lock")
            ours.send("let go")
            holder.join(10)
            with store.lock():
                pass
        finally:
            holder.kill()
            holder.join()

    def test_lock_ends_with_its_holder(self, store: StateDirectory) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        holder = context.Process(target=hold, args=(store.path, theirs))
        holder.start()
        assert ours.recv() == "held"
        holder.kill()
        holder.join()
        with store.lock():
            pass

    def test_holder_removes_what_a_killed_one_had_not_finished(self, store: StateDirectory) -> None:
        store.save(OWNED)
        (store.path / ".snapshot.json.new").write_text("half of a sna")
        with store.lock():
            assert sorted(path.name for path in store.path.iterdir()) == ["lock", "owned.json"]

    def test_full_disk_does_not_keep_anyone_from_locking(
        self, store: StateDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "pwrite", full)
        with store.lock(), pytest.raises(StateError, match="pid unknown"), store.lock():
            pytest.fail("taken twice")

    def test_disk_that_became_read_only_does_not_keep_anyone_from_locking(
        self, store: StateDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with store.lock():
            pass
        really = os.open

        def read_only(path: Path, flags: int, mode: int = 0o777) -> int:
            if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
                raise OSError(errno.EROFS, "Read-only file system")
            return really(path, flags, mode)

        monkeypatch.setattr(os, "open", read_only)
        with store.lock(), pytest.raises(StateError, match="another kernelbal"), store.lock():
            pytest.fail("taken twice")

    def test_one_process_at_a_time_watches_and_whoever_looks_sees_it(
        self, store: StateDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not store.watched
        assert not store.path.exists(), "who only looks makes nothing"
        with ExitStack() as first:
            first.enter_context(store.watching())
            monkeypatch.setattr("time.sleep", lambda _: first.close())  # while the second one waits
            with store.watching():
                assert store.watched
        assert not store.watched

    def test_lock_is_free_after_an_error(self, store: StateDirectory) -> None:
        with pytest.raises(ZeroDivisionError), store.lock():
            raise ZeroDivisionError
        with store.lock():
            pass

    def test_lock_is_not_reentrant(self, store: StateDirectory) -> None:
        with store.lock(), pytest.raises(StateError, match=rf"pid {os.getpid()}\b"), store.lock():
            pytest.fail("taken twice")
