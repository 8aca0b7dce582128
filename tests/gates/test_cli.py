"""Every command explains itself with an example, and asking for help loads nothing heavy."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from kernelbal.cli.app import build

HEAVY = frozenset({"pyroute2", "pydantic", "nftables", "jinja2", "asyncio"})
ON_IMPORT = HEAVY | {"rich"}


def command_paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:  # noqa: ANN401 - Typer hides its Click
    """Paths of the commands below a command group."""
    children = getattr(command, "commands", None)
    if children is None:
        yield path
        return
    for name, child in sorted(children.items()):
        yield from command_paths(child, (*path, name))


PATHS = list(command_paths(typer.main.get_command(build())))


def example_missing(help_text: str, path: tuple[str, ...]) -> bool:
    """Whether a help text, below its usage line, does not show the command as one would type it."""
    _, _, below_usage = help_text.partition("\n")
    return " ".join(("kernelbal", *path)) not in " ".join(below_usage.split())


def loaded(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter holds after it ran `code`."""
    script = (
        f"import contextlib, json, sys\nwith contextlib.suppress(SystemExit):\n    {code}\n"
        "print('\\n' + json.dumps(list(sys.modules)))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, text=True, capture_output=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_sweep_is_not_empty() -> None:
    assert {("check",), ("plan",), ("apply",), ("lab", "demo")} <= set(PATHS)


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_works_and_shows_an_example(path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    result = CliRunner().invoke(build(), [*path, "--help"], prog_name="kernelbal")
    assert result.exit_code == 0
    assert not example_missing(result.stdout, path)


@pytest.mark.parametrize(
    "text", ["Usage: kernelbal plan [OPTIONS]\n", "Usage: x\n Example: kernelbal apply site.yaml"]
)
def test_help_without_example_is_found(text: str) -> None:
    assert example_missing(text, ("plan",))


def test_importing_the_program_loads_nothing_heavy() -> None:
    assert loaded("import kernelbal.cli.app") & ON_IMPORT == set()


def test_help_loads_nothing_heavy() -> None:
    code = "sys.argv[1:] = ['--help']; import kernelbal.cli.app; kernelbal.cli.app.main()"
    modules = loaded(code)
    assert "kernelbal.cli.app" in modules
    assert modules & HEAVY == set()


def test_heavy_import_is_found() -> None:
    assert loaded("import jinja2.runtime") & ON_IMPORT >= {"jinja2"}


def test_preparing_a_real_server_loads_nothing_of_a_director() -> None:
    code = "import kernelbal.realserver.host, kernelbal.realserver.run, kernelbal.realserver.verify.gather"
    modules = loaded(code)
    assert "kernelbal.realserver.run" in modules
    assert modules & HEAVY == set()
    assert not any(name.startswith(("kernelbal.config", "kernelbal.runtime")) for name in modules)
