"""`kernelbal setup director`."""

import re
from pathlib import Path

import pytest

from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.config.load import load_node, load_site
from kernelbal.kernel import boot
from tests.unit.cli.desk import Said

FILES = (
    "etc/modprobe.d/kernelbal.conf",
    "etc/modules-load.d/kernelbal.conf",
    "etc/kernelbal/site.yaml",
    "etc/kernelbal/node.yaml",
)
GIB = 1024**3


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "total_memory_bytes", lambda: 4 * GIB)


def setup(root: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Said:
    """Prepare a director below `root`."""
    code = run(["setup", "director", "--root", str(root), *options])
    captured = capsys.readouterr()
    return Said(code, captured.out, captured.err)


def test_files_are_written_below_the_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = setup(tmp_path, capsys)
    assert said.code == ExitCode.OK
    assert said.out.splitlines() == [f"+ {tmp_path / name}" for name in FILES]
    assert said.err.startswith(f"next: edit {tmp_path}/etc/kernelbal/site.yaml and node.yaml")
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(FILES)


def test_connection_table_fits_the_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup(tmp_path, capsys)
    options = (tmp_path / FILES[0]).read_text()
    assert re.search(r"^options ip_vs conn_tab_bits=18$", options, re.MULTILINE)
    assert "\nip_vs\n" in (tmp_path / FILES[1]).read_text()


def test_first_documents_are_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup(tmp_path, capsys)
    assert load_site((tmp_path / FILES[2]).read_bytes(), "site.yaml").virtual_services
    assert load_node((tmp_path / FILES[3]).read_bytes(), "node.yaml").interfaces


def test_second_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    setup(tmp_path, capsys)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in FILES}
    said = setup(tmp_path, capsys)
    assert said.code == ExitCode.OK
    assert said.out.splitlines() == [f"= {tmp_path / name}" for name in FILES]
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in FILES} == before


@pytest.mark.parametrize("content", [b"mine\n", b"\xff\xfe not even text"])
def test_file_that_differs_is_left_alone_and_named(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "etc/kernelbal/site.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(content)
    said = setup(tmp_path, capsys)
    assert said.code == ExitCode.OK
    assert f"= {mine}  (exists and differs; left alone)" in said.out
    assert f"+ {tmp_path / FILES[3]}" in said.out
    assert mine.read_bytes() == content


def test_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = setup(tmp_path, capsys, "--dry-run")
    assert said == (ExitCode.OK, "".join(f"+ {tmp_path / name}\n" for name in FILES), "")
    assert list(tmp_path.iterdir()) == []


def test_file_that_cannot_be_read_is_no_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc/modprobe.d/kernelbal.conf").mkdir(parents=True)
    said = setup(tmp_path, capsys)
    assert said.code == ExitCode.NO_INPUT
    assert f"cannot read {tmp_path / FILES[0]}: Is a directory\n  hint: run it as root" in said.err


def test_file_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Permissions do not stop root, who may run this; a dangling link into nowhere does."""
    (tmp_path / "etc").symlink_to(tmp_path / "none")
    said = setup(tmp_path, capsys)
    assert said.code == ExitCode.STATE
    assert f"error: cannot write {tmp_path / FILES[0]}" in said.err
