"""`kernelbal check` from its arguments to its output."""

import json
from pathlib import Path

import pytest

from kernelbal.cli import check as command
from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode

SITE = """\
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: 80
    forwarding: nat
    real_servers: [{address: 10.0.0.11}]
"""
ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.yaml") if not path.name.startswith("node"))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


@pytest.fixture
def node(tmp_path: Path) -> Path:
    path = tmp_path / "node.yaml"
    path.write_text("name: lb1\ninterfaces: {outside: eth0}\n")
    return path


def check(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    code = run(["check", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_site_alone_is_enough(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = f"{site} is valid: 1 virtual service, 1 real server\n"
    assert check(capsys, site) == (ExitCode.OK, expected, "")


def test_node_is_checked_along(site: Path, node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = f"{site} and {node} are valid: 1 virtual service, 1 real server\n"
    assert check(capsys, site, "--node", node) == (ExitCode.OK, expected, "")


def test_problem_is_shown_with_its_line(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.write_text(SITE.replace("nat", "DR"))
    code, out, err = check(capsys, site)
    assert (code, out) == (ExitCode.CONFIG, "")
    assert err == (
        f"{site}:5:17: virtual_services[0].forwarding: virtual service `web`: invalid value `DR`\n"
        "      5 |     forwarding: DR\n"
        "        |                 ^\n"
        "  expected: one of `nat`, `dsr`, `tunnel`\n"
        "  hint: write `dsr`\n"
        "\n"
        "1 problem in the configuration\n"
    )


def test_problems_of_both_documents_are_shown(
    site: Path, node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.write_text(SITE.replace("nat", "DR"))
    node.write_text("name: 5\n")
    code, _, err = check(capsys, site, "--node", node)
    assert code == ExitCode.CONFIG
    assert f"{site}:5:17" in err
    assert f"{node}:1:7" in err
    assert err.endswith("2 problems in the configuration\n")


def test_node_that_does_not_fit_the_site_is_refused(
    site: Path, node: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node.write_text("name: lb1\ninterfaces: {inside: eth0}\n")
    code, _, err = check(capsys, site, "--node", node)
    assert code == ExitCode.CONFIG
    assert f"{node}:2:1: interfaces.outside: no device for network `outside`" in err


def test_warning_does_not_fail(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.write_text(SITE.replace("    real_servers", "    mark: 7\n    real_servers"))
    code, out, err = check(capsys, site)
    assert code == ExitCode.OK
    assert out.startswith(f"{site} is valid")
    assert (
        f"{site}:6:11: virtual_services[0].mark: warning: virtual service `web`: the mark is not used" in err
    )


def test_unreadable_file_is_no_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = check(capsys, tmp_path / "none.yaml")
    assert (code, out) == (ExitCode.NO_INPUT, "")
    assert "No such file or directory" in err


def test_endless_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = check(capsys, "/dev/zero")
    assert code == ExitCode.CONFIG
    assert "at most 67,108,864 bytes" in err


def test_json_holds_the_same(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.write_text(SITE.replace("nat", "DR"))
    code, out, err = check(capsys, site, "--json")
    assert (code, err) == (ExitCode.CONFIG, "")
    assert json.loads(out) == {
        "schema": 1,
        "site": str(site),
        "node": None,
        "valid": False,
        "virtual_services": 0,
        "real_servers": 0,
        "problems": [
            {
                "file": str(site),
                "line": 5,
                "column": 17,
                "key": "virtual_services[0].forwarding",
                "message": "virtual service `web`: invalid value `DR`",
                "expected": "one of `nat`, `dsr`, `tunnel`",
                "hint": "write `dsr`",
            }
        ],
        "warnings": [],
    }


def test_json_of_a_valid_site_counts(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = check(capsys, site, "--json")
    document = json.loads(out)
    assert (code, document["valid"], document["virtual_services"], document["real_servers"]) == (
        0,
        True,
        1,
        1,
    )


def test_default_documents_are_checked_where_both_exist(
    site: Path, node: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "SITE_FILE", site)
    monkeypatch.setattr(command, "NODE_FILE", node)
    assert check(capsys, site)[1].startswith(f"{site} and {node} are valid")
    node.unlink()
    assert check(capsys, site)[1].startswith(f"{site} is valid")


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_examples_are_valid_without_a_warning(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = check(capsys, example)
    assert (code, err) == (ExitCode.OK, "")
