"""Back ends: which can be used, and what they start."""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from kernelbal.lab import process
from kernelbal.lab.backends import netns
from kernelbal.lab.backends.base import (
    Backend,
    GuestCommand,
    StandardStreams,
    Unavailable,
    Up,
    guest_environment,
    needed_directories,
)
from kernelbal.lab.backends.choose import all_backends, candidates, choose
from kernelbal.lab.backends.guest import Channels
from kernelbal.lab.backends.init_script import Machine, render_init
from kernelbal.lab.backends.netns import NetnsBackend
from kernelbal.lab.backends.qemu import QemuBackend, common_arguments, machine_for
from kernelbal.lab.backends.uml import UmlBackend, arguments
from kernelbal.lab.errors import BackendUnavailable, LabError
from kernelbal.lab.names import BackendName
from kernelbal.lab.stock_kernel import StockKernel

# --- what every guest gets to see ---


def test_environment_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("NO_COLOR", "1")
    environment = guest_environment(GuestCommand(("true",), Path("/"), env={"A": "b"}))
    assert "SECRET_TOKEN" not in environment
    assert environment["NO_COLOR"] == "1"
    assert environment["A"] == "b"


def test_command_cannot_deny_that_it_is_in_a_lab() -> None:
    command = GuestCommand(("true",), Path("/"), env={"KERNELBAL_IN_LAB": ""})
    assert guest_environment(command)["KERNELBAL_IN_LAB"] == "1"


def test_interpreter_libraries_and_checkout_are_needed() -> None:
    needed = needed_directories(GuestCommand(("true",), Path("/srv")))
    assert {Path("/srv"), Path(sys.prefix).resolve(), Path(__file__).resolve().parents[4]} <= set(needed)


# --- which back end is taken, and what is said when none can be ---


@dataclass
class Fake:
    name: str
    reason: str | None = None

    def refusal(self) -> Unavailable | None:
        return Unavailable(self.reason, "do this") if self.reason else None

    def run(self, command: GuestCommand, streams: StandardStreams) -> int:
        raise NotImplementedError

    def up(self, topology: str, directory: Path) -> Up:
        raise NotImplementedError


def three(netns: str | None = None, uml: str | None = None, qemu: str | None = None) -> list[Backend]:
    return [Fake("netns", netns), Fake("uml", uml), Fake("qemu", qemu)]


def test_order_is_running_kernel_then_uml_then_qemu() -> None:
    assert [backend.name for backend in all_backends()] == ["netns", "uml", "qemu"]


@pytest.mark.parametrize(
    ("backends", "taken"),
    [
        (three(), "netns"),
        (three(netns="no"), "uml"),
        (three(netns="no", uml="no"), "qemu"),
    ],
)
def test_first_usable_is_taken(backends: list[Backend], taken: str) -> None:
    assert choose(BackendName.AUTO, backends).name == taken


def test_wanted_one_is_taken_though_another_comes_first() -> None:
    assert choose(BackendName.QEMU, three()).name == "qemu"


def test_wanted_one_is_not_replaced() -> None:
    with pytest.raises(BackendUnavailable, match="uml: not built"):
        choose(BackendName.UML, three(uml="not built"))


def test_every_reason_is_given() -> None:
    with pytest.raises(BackendUnavailable) as caught:
        choose(BackendName.AUTO, three("no root", "not built", "not installed"))
    for part in ("netns: no root (do this)", "uml: not built", "qemu: not installed"):
        assert part in caught.value.message


def test_candidates_keep_the_order_and_the_reasons() -> None:
    shown = [(each.backend.name, str(each.refusal)) for each in candidates(three(netns="no root"))]
    assert shown == [("netns", "no root (do this)"), ("uml", "None"), ("qemu", "None")]


# --- the script that a guest boots ---


MACHINE = Machine(share="mount -t hostfs", stdout="/dev/tty1", stderr="/dev/tty2")
EXCHANGE = Path("/tmp/x")


def script(command: GuestCommand, machine: Machine = MACHINE) -> str:
    return render_init(command, machine, EXCHANGE, size=(50, 132))


def command(*argv: str, cwd: Path = Path("/srv"), results: Path | None = None) -> GuestCommand:
    return GuestCommand(argv, cwd, env={"GREETING": "it's me"}, results=results)


@pytest.mark.parametrize("interactive", [True, False])
def test_shell_can_parse_it(interactive: bool) -> None:
    text = script(GuestCommand(("sh", "-c", "echo 'a b'; exit 3"), Path("/a b"), interactive=interactive))
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_arguments_and_environment_are_quoted() -> None:
    text = script(command("sh", "-c", "echo $HOME; exit 3"))
    assert "exec sh -c 'echo $HOME; exit 3'" in text
    assert """export GREETING='it'"'"'s me'""" in text
    assert "export KERNELBAL_IN_LAB=1" in text


def test_streams_are_kept_apart() -> None:
    assert "</dev/null >/dev/tty1 2>/dev/tty2" in script(command("true"))


def test_exit_status_comes_back_by_file_before_power_off() -> None:
    text = script(command("true")).splitlines()
    status = text.index("echo $? >/run/lab/exit")
    assert text[status - 1].startswith("cd /srv && exec true)")
    assert text.index("sync") > status
    assert text.index("echo o >/proc/sysrq-trigger") > text.index("sync")


def test_directory_under_a_memory_mount_is_shared_again() -> None:
    text = script(command("true", cwd=Path("/tmp/clone"))).splitlines()
    assert text.index("share /tmp/clone /tmp/clone") > text.index("mount -t tmpfs -o mode=1777 tmpfs /tmp")


def test_directory_that_stays_visible_is_not_shared() -> None:
    assert "share /srv /srv" not in script(command("true")).splitlines()


def test_results_are_shared_at_the_same_path() -> None:
    assert (
        "share /var/results /var/results"
        in script(command("true", results=Path("/var/results"))).splitlines()
    )


def test_results_in_the_exchange_are_not_mounted_twice() -> None:
    text = script(command("true", results=EXCHANGE)).splitlines()
    assert f"mount --bind /run/lab {EXCHANGE}" in text
    assert f"share {EXCHANGE} {EXCHANGE}" not in text


def test_interactive_command_owns_its_terminal() -> None:
    machine = Machine(share=":", stdout="/dev/tty1", stderr="/dev/tty1")
    text = script(GuestCommand(("bash",), Path("/"), interactive=True), machine)
    assert "setsid --ctty --wait sh -c 'stty -F /dev/tty1 sane rows 50 cols 132; exec bash'" in text
    assert "</dev/tty1 >/dev/tty1 2>&1" in text


# --- when the running kernel is refused ---


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pretend to be root; the result is where the kernel's IPVS table would be."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    table = tmp_path / "ip_vs"
    monkeypatch.setattr(netns, "_IPVS_TABLE", table)
    monkeypatch.setattr(netns, "_refused_namespaces", lambda: None)
    return table


def test_ordinary_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert str(NetnsBackend().refusal()) == "making network namespaces needs root (run it with sudo)"


def test_ipvs_that_is_there_will_do(root: Path) -> None:
    root.touch()
    assert NetnsBackend().refusal() is None


def test_ipvs_is_loaded_when_it_can_be(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def modprobe(argv: list[str], **_: object) -> process.Completed:
        root.touch()
        return process.Completed(argv, 0, "", "")

    monkeypatch.setattr(process, "run", modprobe)
    assert NetnsBackend().refusal() is None


@pytest.mark.usefixtures("root")
def test_kernel_without_ipvs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def modprobe(*_: object, **__: object) -> process.Completed:
        raise LabError("cannot run modprobe")

    monkeypatch.setattr(process, "run", modprobe)
    assert f"({os.uname().release}) has no IPVS" in str(NetnsBackend().refusal())
    assert NetnsBackend(needs_ipvs=False).refusal() is None


# --- the command line of QEMU, and when it is refused ---


KERNEL = StockKernel(Path("/c/image"), Path("/c/initramfs"), Path("/c/tree/lib/modules"))


def qemu_line(*, kvm: bool = False, results: Path | None = None) -> str:
    command = GuestCommand(("true",), Path("/"), results=results)
    return " ".join(common_arguments(KERNEL, command, EXCHANGE, kvm))


def test_hosts_root_is_read_only_and_the_exchange_is_not() -> None:
    assert "id=root,path=/,security_model=none,multidevs=remap,readonly=on" in qemu_line()
    assert "id=live,path=/,security_model=none,multidevs=remap,readonly=on" in qemu_line()
    assert "id=exchange,path=/tmp/x,security_model=none,multidevs=remap,readonly=off" in qemu_line()


def test_kvm_only_when_it_works() -> None:
    assert "-accel tcg" in qemu_line()
    assert "-accel kvm" in qemu_line(kvm=True)


def test_results_get_a_share_of_their_own() -> None:
    assert "id=results" not in qemu_line()
    assert "id=results" not in qemu_line(results=EXCHANGE)
    assert "id=results,path=/r,security_model=none,multidevs=remap,readonly=off" in qemu_line(
        results=Path("/r")
    )


def test_guest_gets_the_kernels_modules_and_ipvs() -> None:
    prepare = machine_for(GuestCommand(("true",), Path("/")), KERNEL).prepare.splitlines()
    assert "mount --bind /run/host/c/tree/lib/modules /lib/modules" in prepare
    assert prepare[-1] == "modprobe ip_vs"


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: None if name in {"busybox", "cpio"} else "/bin/true")
    refusal = str(QemuBackend().refusal())
    assert refusal == "busybox, cpio not installed (apt-get install busybox-static cpio)"


# --- the command line of User-mode Linux, and when it is refused ---


def uml_line(*, stdin: int | None = None, virtual_time: bool = False) -> list[str]:
    command = GuestCommand(("true",), Path("/"), virtual_time=virtual_time, memory_mib=512)
    return arguments(command, EXCHANGE, Channels(stdin, 5, 6))


def test_root_is_the_hosts_and_read_only() -> None:
    assert {"rootfstype=hostfs", "rootflags=/", "ro", "init=/tmp/x/init", "mem=512M"} <= set(uml_line())


def test_output_goes_to_the_given_descriptors() -> None:
    assert {"con1=null,fd:5", "con2=null,fd:6"} <= set(uml_line())


def test_interactive_input_comes_from_a_descriptor() -> None:
    assert "con1=fd:4,fd:5" in uml_line(stdin=4)


@pytest.mark.parametrize("virtual", [True, False])
def test_time_travel_only_on_request(virtual: bool) -> None:
    assert ("time-travel=inf-cpu" in uml_line(virtual_time=virtual)) is virtual


def test_other_processors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "aarch64" in str(UmlBackend(Path("/bin/true")).refusal())


def test_missing_kernel_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KERNELBAL_LAB_KERNEL", raising=False)
    assert "kernelbal lab kernel" in str(UmlBackend().refusal())
