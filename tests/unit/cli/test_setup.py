"""`kernelbal setup director`."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kernelbal.cli import documents
from kernelbal.cli import setup as command
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.config.load import load_node, load_site
from kernelbal.kernel import machine, systemctl
from kernelbal.kernel.prerequisites import MachineFacts
from kernelbal.store import boot
from tests.support.cli_harness import SITE, CommandResult, run_cli
from tests.unit.kernel.test_prerequisites import GOOD

FILES = (
    "etc/systemd/system/kernelbal.service",
    "etc/modprobe.d/kernelbal.conf",
    "etc/modules-load.d/kernelbal.conf",
    "etc/kernelbal/site.yaml",
    "etc/kernelbal/node.yaml",
)
UNIT, MODPROBE, MODULES, SITE_FILE, NODE_FILE = FILES
GIB = 1024**3


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "total_memory_bytes", lambda: 4 * GIB)


Setup = Callable[..., CommandResult]
Here = Callable[[MachineFacts], Path]


@pytest.fixture
def setup(capsys: pytest.CaptureFixture[str]) -> Setup:
    """Prepares a director below a directory."""
    return lambda root, *options: run_cli(capsys, "setup", "director", "--root", str(root), *options)


def test_files_are_written_below_the_root(tmp_path: Path, setup: Setup) -> None:
    done = setup(tmp_path)
    assert done.code == ExitCode.OK
    assert done.out.splitlines() == [f"+ {tmp_path / name}" for name in FILES]
    assert done.err.startswith(f"next: edit {tmp_path}/etc/kernelbal/site.yaml and node.yaml")
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(FILES)


def test_connection_table_fits_the_memory(tmp_path: Path, setup: Setup) -> None:
    setup(tmp_path)
    options = (tmp_path / MODPROBE).read_text()
    assert re.search(r"^options ip_vs conn_tab_bits=18$", options, re.MULTILINE)
    assert "\nip_vs\n" in (tmp_path / MODULES).read_text()


def test_first_documents_are_valid(tmp_path: Path, setup: Setup) -> None:
    setup(tmp_path)
    assert load_site((tmp_path / SITE_FILE).read_bytes(), "site.yaml").virtual_services
    assert load_node((tmp_path / NODE_FILE).read_bytes(), "node.yaml").interfaces


def test_second_run_writes_nothing(tmp_path: Path, setup: Setup) -> None:
    setup(tmp_path)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in FILES}
    done = setup(tmp_path)
    assert done.code == ExitCode.OK
    assert done.out.splitlines() == [f"= {tmp_path / name}" for name in FILES]
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in FILES} == before


@pytest.mark.parametrize("content", [b"mine\n", b"\xff\xfe not even text"])
def test_file_that_differs_is_left_alone_and_named(tmp_path: Path, content: bytes, setup: Setup) -> None:
    mine = tmp_path / "etc/kernelbal/site.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(content)
    done = setup(tmp_path)
    assert done.code == ExitCode.OK
    assert f"= {mine}  (exists and differs; left alone)" in done.out
    assert f"+ {tmp_path / NODE_FILE}" in done.out
    assert mine.read_bytes() == content


def test_dry_run_writes_nothing(tmp_path: Path, setup: Setup) -> None:
    done = setup(tmp_path, "--dry-run")
    assert done == (ExitCode.OK, "".join(f"+ {tmp_path / name}\n" for name in FILES), "")
    assert list(tmp_path.iterdir()) == []


def test_file_that_cannot_be_read_is_no_input(tmp_path: Path, setup: Setup) -> None:
    (tmp_path / "etc/modprobe.d/kernelbal.conf").mkdir(parents=True)
    done = setup(tmp_path)
    assert done.code == ExitCode.NO_INPUT
    assert f"cannot read {tmp_path / MODPROBE}: Is a directory\n  hint: run it as root" in done.err


def test_file_that_cannot_be_written_is_an_error(tmp_path: Path, setup: Setup) -> None:
    """Permissions do not stop root, who may run this; a dangling link into nowhere does."""
    (tmp_path / "etc").symlink_to(tmp_path / "none")
    done = setup(tmp_path)
    assert done.code == ExitCode.STATE
    assert f"error: cannot write {tmp_path / UNIT}" in done.err


def test_the_unit_starts_the_named_program(tmp_path: Path, setup: Setup) -> None:
    setup(tmp_path, "--program", "/opt/kernelbal/bin/kernelbal")
    assert "\nExecStart=/opt/kernelbal/bin/kernelbal run\n" in (tmp_path / UNIT).read_text()


def test_the_program_is_by_default_the_one_of_this_environment(tmp_path: Path, setup: Setup) -> None:
    setup(tmp_path)
    started = re.search(r"^ExecStart=(.+) run$", (tmp_path / UNIT).read_text(), re.MULTILINE)
    assert started is not None
    assert Path(started[1]).name == "kernelbal"
    assert Path(started[1]).exists()


def test_without_any_program_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setup: Setup
) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    done = setup(tmp_path)
    assert done.code == ExitCode.NO_INPUT
    assert "name it with --program" in done.err


def test_a_file_that_nobody_edited_is_brought_up_to_date(tmp_path: Path, setup: Setup) -> None:
    setup(tmp_path, "--program", "/usr/local/bin/kernelbal")
    done = setup(tmp_path, "--program", "/opt/kernelbal/bin/kernelbal")
    assert done.out.splitlines()[:2] == [f"~ {tmp_path / UNIT}", f"= {tmp_path / MODPROBE}"]
    assert "/opt/kernelbal" in (tmp_path / UNIT).read_text()
    assert list(tmp_path.rglob("*.old")) == []


def test_an_edited_unit_is_replaced_by_force_alone_and_kept(tmp_path: Path, setup: Setup) -> None:
    setup(tmp_path)
    edited = (tmp_path / UNIT).read_text() + "# mine\n"
    (tmp_path / UNIT).write_text(edited)
    assert f"= {tmp_path / UNIT}  (exists and differs; left alone)" in setup(tmp_path).out
    done = setup(tmp_path, "--force")
    assert f"~ {tmp_path / UNIT}  (the edited one is now kernelbal.service.1.old)" in done.out
    assert (tmp_path / f"{UNIT}.1.old").read_text() == edited
    assert f"= {tmp_path / UNIT}" in setup(tmp_path).out.splitlines()


def test_force_never_replaces_a_document(tmp_path: Path, setup: Setup) -> None:
    setup(tmp_path)
    (tmp_path / SITE_FILE).write_text(SITE)
    done = setup(tmp_path, "--force")
    assert f"= {tmp_path / SITE_FILE}  (exists and differs; left alone)" in done.out
    assert (tmp_path / SITE_FILE).read_text() == SITE


def test_json_names_every_file(tmp_path: Path, setup: Setup) -> None:
    document = json.loads(setup(tmp_path, "--json").out)
    assert document["schema"] == 1
    assert [(each["path"], each["sign"], each["found"]) for each in document["files"]] == [
        (str(tmp_path / name), "+", "absent") for name in FILES
    ]
    assert document["results"] == []


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    """The running machine, with its files below a directory, and what is found on it."""

    def make(evidence: MachineFacts) -> Path:
        monkeypatch.setattr(command, "RUNNING", tmp_path)
        monkeypatch.setattr(machine, "read_machine_facts", lambda _program: evidence)
        monkeypatch.setattr(documents, "SITE_FILE", tmp_path / SITE_FILE)
        monkeypatch.setattr(documents, "NODE_FILE", tmp_path / NODE_FILE)
        return tmp_path

    return make


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows when the daemon is started."""
    calls: list[str] = []
    monkeypatch.setattr(systemctl, "enable_now", lambda: calls.append("started"))
    return calls


def test_what_is_missing_is_said_with_its_remedy_and_fails(here: Here, setup: Setup) -> None:
    done = setup(here(replace(GOOD, libnftables=False)))
    assert done.code == ExitCode.FAILED
    assert "error: the library libnftables.so.1 cannot be loaded\n  hint: Debian, Ubuntu: apt" in done.err
    document = json.loads(setup(here(replace(GOOD, libnftables=False)), "--json").out)
    assert [result["requirement"] for result in document["results"]] == ["nftables"]


def test_a_warning_does_not_fail(here: Here, setup: Setup) -> None:
    done = setup(here(replace(GOOD, processes=frozenset({"chronyd", "keepalived"}))))
    assert done.code == ExitCode.OK
    assert "warning: keepalived is running, and may write to IPVS too" in done.err


def test_an_image_is_not_judged_by_the_machine_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setup: Setup
) -> None:
    monkeypatch.setattr(machine, "read_machine_facts", lambda _program: replace(GOOD, libnftables=False))
    assert setup(tmp_path).code == ExitCode.OK


def test_enable_starts_the_daemon_once_the_site_is_the_operators(
    here: Here, started: list[str], setup: Setup
) -> None:
    root = here(GOOD)
    done = setup(root, "--enable")
    assert done.code == ExitCode.FAILED
    assert "the site is still the example" in done.err
    (root / SITE_FILE).write_text(SITE.replace("nat", "nut"))
    assert setup(root, "--enable").code == ExitCode.CONFIG
    assert started == []
    (root / SITE_FILE).write_text(SITE)
    assert setup(root, "--enable").code == ExitCode.OK
    assert started == ["started"]


def test_enable_does_not_start_what_could_not_work(here: Here, started: list[str], setup: Setup) -> None:
    root = here(replace(GOOD, capabilities=0))
    setup(root)
    (root / SITE_FILE).write_text(SITE)
    assert setup(root, "--enable").code == ExitCode.FAILED
    assert started == []


@pytest.mark.parametrize("options", [("--enable",), ("--enable", "--dry-run")])
def test_enable_elsewhere_or_as_a_rehearsal_is_a_contradiction(
    tmp_path: Path, options: tuple[str, ...], setup: Setup
) -> None:
    assert setup(tmp_path, *options).code == ExitCode.USAGE
    assert list(tmp_path.iterdir()) == []
