"""`kernelbal run` hands everything over to the daemon."""

from pathlib import Path

import pytest

from kernelbal.cli.app import run
from kernelbal.runtime.director import service


@pytest.mark.parametrize(("options", "socket"), [([], None), (["--socket", "/tmp/x.sock"], "/tmp/x.sock")])
def test_it_runs_with_what_it_was_called_with(
    monkeypatch: pytest.MonkeyPatch, options: list[str], socket: str | None
) -> None:
    seen: list[service.Settings] = []
    monkeypatch.setattr(service, "run", seen.append)
    assert run(["run", "site.yaml", "--node", "node.yaml", "--state-dir", "/tmp/state", *options]) == 0
    (settings,) = seen
    assert settings.paths.site == Path("site.yaml")
    assert settings.paths.node == Path("node.yaml")
    assert (settings.state_dir, settings.socket) == (Path("/tmp/state"), socket)


def test_a_broken_document_is_shown_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.yaml").write_text("virtual_services: 7\n")
    (tmp_path / "node.yaml").write_text("name: lb1\n")
    where = [str(tmp_path / "site.yaml"), "--node", str(tmp_path / "node.yaml")]
    assert run(["run", *where, "--state-dir", str(tmp_path / "state")]) == 78
    assert "site.yaml:1:" in capsys.readouterr().err
