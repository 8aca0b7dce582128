"""The lab's parts that need no guest."""

import gzip
import io
import lzma
import os
import platform
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePath
from types import SimpleNamespace

import pytest

from kernelbal.lab import holder, kernel_build, kernel_cache, private_apt, process
from kernelbal.lab.backends.base import StandardStreams
from kernelbal.lab.client import Transport, call
from kernelbal.lab.errors import GuestFailed, KernelBuildError, LabError, SessionError
from kernelbal.lab.frames import Decoder, Frame, Kind, ProgramRequest, exit_frame, parse_request
from kernelbal.lab.initramfs import _module_bytes, dependencies, load_order
from kernelbal.lab.kernel_build import missing_options
from kernelbal.lab.kernel_cache import (
    built_kernel,
    cache_directory,
    config_fragment,
    find_kernel,
    kernel_directory,
)
from kernelbal.lab.live import belongs_to_the_guest, show
from kernelbal.lab.private_apt import DEFAULT_MIRROR, keyring, mirror_from, render_sources
from kernelbal.lab.progress import Progress
from kernelbal.lab.stock_kernel import own_suite

# --- the command line's side of a conversation with the agent; the agent is played by a script ---


REQUEST = ProgramRequest("rs1", ("true",), "/", {}, False, 24, 80, "0123abcd")
STARTED = Frame(Kind.STARTED, b"0123abcd").encode()


class Agent:
    """Says one thing when it gets a request, and keeps what it hears."""

    def __init__(self, said: bytes) -> None:
        self.ours, theirs = socket.socketpair()
        self.transport = Transport(theirs.fileno(), theirs.fileno())
        self._theirs = theirs
        self._said = said
        self.heard: list[Frame] = []
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _play(self) -> None:
        self.heard += Decoder().feed(self.ours.recv(65536))
        self.ours.sendall(self._said)
        self.ours.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._thread.join()
        self.ours.close()
        self._theirs.close()


@pytest.fixture
def streams(tmp_path: Path) -> Iterator[StandardStreams]:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        yield StandardStreams(out.fileno(), err.fileno())


def converse(said: bytes, streams: StandardStreams) -> int:
    agent = Agent(said)
    try:
        return call(agent.transport, REQUEST, streams)
    finally:
        agent.close()
        assert parse_request(agent.heard[0]) == REQUEST


def test_output_goes_to_its_stream(streams: StandardStreams, tmp_path: Path) -> None:
    said = Frame(Kind.STDOUT, b"o1").encode() + Frame(Kind.STDERR, b"e").encode()
    assert (
        converse(STARTED + said + Frame(Kind.STDOUT, b"o2").encode() + exit_frame(3).encode(), streams) == 3
    )
    assert (tmp_path / "out").read_bytes() == b"o1o2"
    assert (tmp_path / "err").read_bytes() == b"e"


def test_leftovers_of_an_earlier_client_are_skipped(streams: StandardStreams, tmp_path: Path) -> None:
    whole = Frame(Kind.STDOUT, b"old output").encode() + exit_frame(9).encode()
    for cut in range(len(whole)):
        assert converse(whole[cut:] + STARTED + exit_frame(0).encode(), streams) == 0
    assert (tmp_path / "out").read_bytes() == b""


def test_another_clients_start_does_not_count(streams: StandardStreams) -> None:
    other = Frame(Kind.STARTED, b"ffffffff").encode() + exit_frame(9).encode()
    assert converse(other + STARTED + exit_frame(2).encode(), streams) == 2


@pytest.mark.parametrize("said", [b"", STARTED, STARTED + Frame(Kind.STDOUT, b"x").encode()])
def test_lab_that_goes_away_is_an_error(said: bytes, streams: StandardStreams) -> None:
    with pytest.raises(SessionError, match="the lab has gone"):
        converse(said, streams)


def test_descriptors_are_left_as_they_were(streams: StandardStreams) -> None:
    converse(STARTED + exit_frame(0).encode(), streams)
    assert os.get_blocking(streams.stdout)


# --- the process that holds a lab ---


def test_process_is_known_by_its_start() -> None:
    own = holder.started_ticks(os.getpid())
    assert own == holder.started_ticks(os.getpid())
    assert own is not None
    assert own > (holder.started_ticks(1) or 0)


def test_ended_process_has_no_start() -> None:
    started = process.start(["true"])
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet waited for
    assert holder.started_ticks(started.pid) is None
    process.stop(started)
    assert holder.started_ticks(started.pid) is None


def test_end_takes_the_whole_group(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    script = f"sleep 1000 & echo $! >/dev/fd/{writing}; wait"
    pid = holder.start(["sh", "-c", script], tmp_path, os.environ, [writing])
    os.close(writing)
    child = int(os.read(reading, 100))
    assert holder.started_ticks(child) is not None
    holder.end(pid)
    assert os.read(reading, 1) == b""  # nobody holds the other side any more
    assert holder.started_ticks(pid) is None
    os.close(reading)


def test_end_of_nobody_is_no_error() -> None:
    started = process.start(["true"], new_session=True)
    process.stop(started)
    holder.end(started.pid)


def test_lab_that_fails_is_quoted(tmp_path: Path) -> None:
    pid = holder.start(["sh", "-c", "echo no memory left; exit 1"], tmp_path, os.environ)
    with pytest.raises(GuestFailed, match="no memory left"):
        holder.await_ready("uml", "two-arm", pid, tmp_path, [], 10.0)


def test_lab_that_is_late_is_ended(tmp_path: Path) -> None:
    pid = holder.start(["sleep", "1000"], tmp_path, os.environ)
    with pytest.raises(GuestFailed):
        holder.await_ready("uml", "two-arm", pid, tmp_path, [], 0.1)
    assert holder.started_ticks(pid) is None


def test_ready_lab_is_described(tmp_path: Path) -> None:
    ready = tmp_path / holder.READY_FILE
    pid = holder.start(["sh", "-c", f"echo ready >{ready}; sleep 1000"], tmp_path, os.environ)
    made = holder.await_ready("uml", "two-arm", pid, tmp_path, ["c0"], 10.0)
    assert (made.backend, made.topology, made.pid, made.consoles) == ("uml", "two-arm", pid, ("c0",))
    assert made.started_ticks == holder.started_ticks(pid)
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)


def test_pipes_come_in_pairs(tmp_path: Path) -> None:
    names = holder.make_pipes(tmp_path)
    assert len(names) == holder.CONSOLES
    assert all(Path(f"{name}.in").is_fifo() and Path(f"{name}.out").is_fifo() for name in names)


def test_agent_is_told_where_to_serve() -> None:
    command = holder.agent_command("one-arm", Path("/x"), holder.console_options(["/dev/tty3", "/dev/tty4"]))
    assert " ".join(command[1:]) == (
        "-m kernelbal.lab.agent --topology one-arm --ready /x/ready --console /dev/tty3 --console /dev/tty4"
    )


# --- the initial RAM disk: which modules, in which order ---


MODULES_DEP = """\
kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet.ko:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko kernel/drivers/virtio/virtio-ring.ko
kernel/fs/netfs/netfs.ko:
kernel/drivers/virtio/virtio-ring.ko:
"""


def test_modules_come_after_what_they_need() -> None:
    order = load_order(["9p", "9pnet_virtio"], dependencies(MODULES_DEP))
    names = [Path(file).name.split(".")[0] for file in order]
    assert names == ["9pnet", "netfs", "9p", "virtio-ring", "9pnet_virtio"]


def test_module_is_found_by_either_spelling() -> None:
    assert load_order(["virtio_ring"], dependencies(MODULES_DEP)) == ["kernel/drivers/virtio/virtio-ring.ko"]


def test_builtin_module_is_skipped() -> None:
    assert load_order(["overlay"], dependencies(MODULES_DEP)) == []


def test_packed_module_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.ko").write_bytes(b"elf")
    (tmp_path / "b.ko.xz").write_bytes(lzma.compress(b"elf"))
    assert _module_bytes(tmp_path / "a.ko") == _module_bytes(tmp_path / "b.ko.xz") == b"elf"


def test_unknown_packing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ko.gz").write_bytes(gzip.compress(b"elf"))
    with pytest.raises(LabError, match=r"packed as \.gz"):
        _module_bytes(tmp_path / "a.ko.gz")


# --- building the lab kernel: what is checked before and after the hours-long parts ---


WANTED = "# IPVS\nCONFIG_IP_VS=y\nCONFIG_IP_VS_RR=y\nCONFIG_MODULES=n\n"


def test_options_that_a_kernel_lacks_are_named() -> None:
    assert missing_options(WANTED, "CONFIG_IP_VS=y\n# CONFIG_IP_VS_RR is not set\n") == ["CONFIG_IP_VS_RR"]


def test_module_is_not_built_in() -> None:
    assert missing_options("CONFIG_IP_VS=y", "CONFIG_IP_VS=m") == ["CONFIG_IP_VS"]


def test_every_scheduler_is_wanted() -> None:
    wanted = config_fragment().splitlines()
    for scheduler in ["rr", "wrr", "lc", "wlc", "sh", "mh", "sed", "nq", "fo", "ovf", "lblc", "lblcr", "dh"]:
        assert f"CONFIG_IP_VS_{scheduler.upper()}=y" in wanted


def test_fragment_names_each_option_once() -> None:
    names = [line.split("=")[0] for line in config_fragment().splitlines() if line.startswith("CONFIG_")]
    assert sorted(names) == sorted(set(names))


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name in {"flex", "xz"} else "/bin/true")
    with pytest.raises(KernelBuildError) as caught:
        kernel_build._require_tools()
    assert "flex, xz" in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("flex xz-utils")


def test_full_disk_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "there"))
    monkeypatch.setattr(kernel_build, "TOOLS", ())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    with pytest.raises(KernelBuildError, match="1 MiB free"):
        kernel_build._require_tools()


def test_build_does_not_say_where_it_was_made() -> None:
    environment = kernel_build._build_environment()
    assert environment["KBUILD_BUILD_HOST"] not in (os.uname().nodename, "")
    assert environment["KBUILD_BUILD_USER"] != os.environ.get("USER", "root")


# --- which kernel the lab boots ---


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KERNELBAL_LAB_KERNEL", raising=False)


def make(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(mode)
    return path


def test_cache_is_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_directory() == tmp_path / "cache" / "kernelbal"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_directory() == Path("/home/somebody/.cache/kernelbal")


def test_nothing_built_nothing_found() -> None:
    assert find_kernel() is None


def test_built_kernel_is_found() -> None:
    kernel = make(kernel_directory("7.3") / "linux")
    assert find_kernel() == kernel


def test_kernel_of_another_configuration_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    make(kernel_directory("7.3") / "linux")
    monkeypatch.setattr(kernel_cache, "config_fragment", lambda: "CONFIG_IP_VS=y\n")
    assert built_kernel() is None


def test_named_kernel_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make(kernel_directory("7.3") / "linux")
    named = make(tmp_path / "my-linux")
    monkeypatch.setenv("KERNELBAL_LAB_KERNEL", str(named))
    assert find_kernel() == named


@pytest.mark.parametrize("mode", [None, 0o644])
def test_named_kernel_must_be_a_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int | None
) -> None:
    if mode is not None:
        make(tmp_path / "my-linux", mode)
    monkeypatch.setenv("KERNELBAL_LAB_KERNEL", str(tmp_path / "my-linux"))
    with pytest.raises(LabError, match="is not an executable file"):
        find_kernel()


# --- which of the host's directories a guest that stays up shows anew ---


@pytest.mark.parametrize(
    "directory", ["/", "/root", "/tmp", "/etc/kernelbal", "/var/lib", "/run", "/usr/bin"]
)
def test_guest_keeps_what_programs_write_to(directory: str) -> None:
    assert belongs_to_the_guest(PurePath(directory))


@pytest.mark.parametrize("directory", ["/root/my-site", "/tmp/clone", "/home/me", "/srv"])
def test_working_directories_are_the_hosts(directory: str) -> None:
    assert not belongs_to_the_guest(PurePath(directory))


def test_nothing_is_made_where_the_host_has_no_such_directory(tmp_path: Path) -> None:
    show(tmp_path / "gone", live=tmp_path / "live")
    assert not (tmp_path / "gone").exists()


def test_directory_that_is_seen_already_is_left_alone(tmp_path: Path) -> None:
    show(tmp_path, live=Path("/"))


def test_failure_names_the_directory(tmp_path: Path) -> None:
    (tmp_path / "live/srv").mkdir(parents=True)
    (tmp_path / "live" / str(tmp_path / "file/below").lstrip("/")).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match=r"cannot show .*file/below in the lab: Not a directory"):
        show(tmp_path / "file/below", live=tmp_path / "live")


# --- apt with a state of its own: where it looks and whom it trusts ---


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        ("Debian-Security http://s.example/x/\nDebian http://m.example/debian/\n", "http://m.example/debian"),
        ("Ubuntu http://archive.example/ubuntu/\n", DEFAULT_MIRROR),
        (" http://never-fetched.example/\n", DEFAULT_MIRROR),
        ("", DEFAULT_MIRROR),
    ],
)
def test_mirror_is_the_one_that_the_system_uses(targets: str, mirror: str) -> None:
    assert mirror_from(targets) == mirror


def test_source_is_checked_with_debians_keys() -> None:
    assert render_sources("sid", "http://m.example/debian", Path("/k.gpg")).splitlines() == [
        "Types: deb",
        "URIs: http://m.example/debian",
        "Suites: sid",
        "Components: main",
        "Signed-By: /k.gpg",
    ]


def test_missing_keys_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(private_apt, "_KEYRINGS", (tmp_path / "none.gpg",))
    with pytest.raises(KernelBuildError) as caught:
        keyring()
    assert caught.value.hint == "apt-get install debian-archive-keyring"


# --- starting, awaiting and ending programs ---


def test_output_and_input() -> None:
    assert process.run(["cat"], stdin="hello").stdout == "hello"


def test_failure_is_an_error_with_the_programs_words() -> None:
    with pytest.raises(LabError, match=r"`sh -c echo why >&2; exit 3` exited with 3: why"):
        process.run(["sh", "-c", "echo why >&2; exit 3"])


def test_failure_may_be_wanted() -> None:
    assert process.run(["false"], check=False).returncode == 1


def test_missing_program_is_an_error() -> None:
    with pytest.raises(LabError, match="cannot run no-such-program: No such file"):
        process.run(["no-such-program"])
    with pytest.raises(LabError, match="cannot run no-such-program"):
        process.start(["no-such-program"])


def test_program_without_end_is_an_error() -> None:
    with pytest.raises(LabError, match=r"did not end within 0\.1 s"):
        process.run(["sleep", "60"], timeout_s=0.1)


def test_wait_ends_with_the_program() -> None:
    started = process.start(["sh", "-c", "exit 4"])
    assert process.wait(started, 10.0, None)
    assert started.returncode == 4


def test_wait_gives_up_in_time() -> None:
    started = process.start(["sleep", "60"])
    assert not process.wait(started, 0.05, None)
    process.stop(started)


def test_wait_is_stopped_by_a_descriptor() -> None:
    reading, writing = os.pipe()
    started = process.start(["sleep", "60"])
    os.write(writing, b"x")
    assert not process.wait(started, None, reading)
    process.stop(started)
    os.close(reading)
    os.close(writing)


def test_stop_is_polite_first() -> None:
    started = process.start(["sleep", "60"])
    assert process.stop(started) == -signal.SIGTERM


def test_stop_is_firm_at_last() -> None:
    stubborn = process.start(
        ["sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done"], stdout=subprocess.PIPE
    )
    assert stubborn.stdout is not None
    stubborn.stdout.readline()  # the trap is set
    assert process.stop(stubborn, grace_s=0.1) == -signal.SIGKILL


def test_stop_of_one_that_ended_returns_its_status() -> None:
    started = process.start(["sh", "-c", "exit 6"])
    began_at = time.monotonic()
    started.wait()
    assert process.stop(started) == 6
    assert time.monotonic() - began_at < process.STOP_GRACE_S


# --- progress for a person who waits ---


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_file_gets_a_line_per_stage_and_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, out = Clock(monkeypatch), io.StringIO()
    progress = Progress(out)
    progress.stage("compiling")
    for _ in range(70):
        clock.now += 1
        progress.update(f"compiled after {clock.now - 1000:.0f}")
    assert out.getvalue().splitlines() == [
        "[ 0:00] compiling",
        "[ 0:30] compiled after 30",
        "[ 1:00] compiled after 60",
    ]


def test_terminal_renews_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, out = Clock(monkeypatch), Terminal()
    progress = Progress(out)
    clock.now += 1
    progress.update("a")
    clock.now += 1
    progress.update("b")
    progress.stage("done")
    assert out.getvalue() == "\r\033[K[ 0:01] a\r\033[K[ 0:02] b\r\033[K[ 0:02] done\n"


# --- which kernel QEMU boots ---


@pytest.mark.parametrize(
    ("release", "suite"),
    [
        ({"ID": "debian", "VERSION_CODENAME": "bookworm"}, "bookworm"),
        ({"ID": "ubuntu", "VERSION_CODENAME": "noble"}, "trixie"),
        ({"ID": "debian"}, "trixie"),
    ],
)
def test_debian_boots_its_own_kernel(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str], suite: str
) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    assert own_suite() == suite
