"""`kernelbal check` from its arguments to its output."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kernelbal.cli import check as command
from kernelbal.cli.exit_codes import ExitCode
from tests.support.cli_harness import CommandResult, run_cli

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


Check = Callable[..., CommandResult]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    return lambda *arguments: run_cli(capsys, "check", *map(str, arguments))


def test_site_alone_is_enough(site: Path, check: Check) -> None:
    expected = f"{site} is valid: 1 virtual service, 1 real server\n"
    assert check(site) == (ExitCode.OK, expected, "")


def test_node_is_checked_along(site: Path, node: Path, check: Check) -> None:
    expected = f"{site} and {node} are valid: 1 virtual service, 1 real server\n"
    assert check(site, "--node", node) == (ExitCode.OK, expected, "")


def test_problem_is_shown_with_its_line(site: Path, check: Check) -> None:
    site.write_text(SITE.replace("nat", "DR"))
    code, out, err = check(site)
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


def test_problems_of_both_documents_are_shown(site: Path, node: Path, check: Check) -> None:
    site.write_text(SITE.replace("nat", "DR"))
    node.write_text("name: 5\n")
    code, _, err = check(site, "--node", node)
    assert code == ExitCode.CONFIG
    assert f"{site}:5:17" in err
    assert f"{node}:1:7" in err
    assert err.endswith("2 problems in the configuration\n")


def test_node_that_does_not_fit_the_site_is_refused(site: Path, node: Path, check: Check) -> None:
    node.write_text("name: lb1\ninterfaces: {inside: eth0}\n")
    code, _, err = check(site, "--node", node)
    assert code == ExitCode.CONFIG
    assert f"{node}:2:1: interfaces.outside: no device for network `outside`" in err


def test_warning_does_not_fail(site: Path, check: Check) -> None:
    site.write_text(SITE.replace("    real_servers", "    mark: 7\n    real_servers"))
    code, out, err = check(site)
    assert code == ExitCode.OK
    assert out.startswith(f"{site} is valid")
    assert (
        f"{site}:6:11: virtual_services[0].mark: warning: virtual service `web`: the mark is not used" in err
    )


def test_unreadable_file_is_no_input(tmp_path: Path, check: Check) -> None:
    code, out, err = check(tmp_path / "none.yaml")
    assert (code, out) == (ExitCode.NO_INPUT, "")
    assert "No such file or directory" in err


def test_endless_file_is_refused(check: Check) -> None:
    code, _, err = check("/dev/zero")
    assert code == ExitCode.CONFIG
    assert "at most 67,108,864 bytes" in err


def test_json_holds_the_same(site: Path, check: Check) -> None:
    site.write_text(SITE.replace("nat", "DR"))
    done = check(site, "--json")
    assert (done.code, done.err) == (ExitCode.CONFIG, "")
    assert done.document == {
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


def test_json_of_a_valid_site_counts(site: Path, check: Check) -> None:
    document = check(site, "--json").document
    assert [document[each] for each in ("valid", "virtual_services", "real_servers")] == [True, 1, 1]


def test_default_documents_are_checked_where_both_exist(
    site: Path, node: Path, monkeypatch: pytest.MonkeyPatch, check: Check
) -> None:
    monkeypatch.setattr(command, "SITE_FILE", site)
    monkeypatch.setattr(command, "NODE_FILE", node)
    assert check(site)[1].startswith(f"{site} and {node} are valid")
    node.unlink()
    assert check(site)[1].startswith(f"{site} is valid")


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_examples_are_valid_without_a_warning(example: Path, check: Check) -> None:
    code, _, err = check(example)
    assert (code, err) == (ExitCode.OK, "")
