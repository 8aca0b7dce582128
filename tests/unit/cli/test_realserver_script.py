"""`kernelbal realserver script`."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from kernelbal.cli.realserver_script import EPILOG, script
from kernelbal.errors import PlanRefused

SITE = """\
virtual_services:
  - {name: web, address: 10.0.0.80, ports: [80], forwarding: dsr, scheduler: rr,
     real_servers: [{address: 10.0.0.11}, {address: 10.0.0.12}]}
"""
FIRST = "kernelbal realserver apply 10.0.0.80 --real 10.0.0.11 --port 80/tcp"
SECOND = FIRST.replace("10.0.0.11", "10.0.0.12")

app = typer.Typer(rich_markup_mode=None)
app.command(epilog=EPILOG)(script)


@pytest.fixture
def site(tmp_path: Path) -> str:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return str(path)


def done(site: str, *options: str, code: int = 0) -> str:
    result = CliRunner().invoke(
        app, ["--site", site, *options], catch_exceptions=False, standalone_mode=False
    )
    assert result.exit_code == code
    return result.stdout


def test_commands_stand_below_the_real_server_they_are_for(site: str) -> None:
    assert done(site, "--service", "web") == f"# on 10.0.0.11\n{FIRST}\n# on 10.0.0.12\n{SECOND}\n"


def test_options_of_the_real_server_are_passed_on(site: str) -> None:
    text = done(site, "--real", "10.0.0.12", "--persist", "unit", "--interface", "eth1", "--mtu", "1400")
    assert text == (
        "# on 10.0.0.12\nkernelbal realserver apply 10.0.0.80 --interface eth1 --real 10.0.0.12 "
        "--port 80/tcp --mtu 1400 --persist unit\n"
    )


def test_json(site: str) -> None:
    document = json.loads(done(site, "--json"))
    assert document == {
        "schema": 1,
        "real_servers": [
            {"address": "10.0.0.11", "commands": [FIRST]},
            {"address": "10.0.0.12", "commands": [SECOND]},
        ],
    }


def test_a_script_says_whom_it_is_for(site: str) -> None:
    text = done(site, "--service", "web", "--shell")
    assert text.startswith("#!/bin/sh\n# Prepares a real server for `web`,")
    assert "10.0.0.11 10.0.0.12\n" in text
    assert "10.0.0.12" not in done(site, "--shell", "--real", "10.0.0.11")


def test_a_real_server_of_others_is_refused(site: str) -> None:
    with pytest.raises(PlanRefused, match=r"10\.0\.0\.13 is no real server of these services") as caught:
        done(site, "--real", "10.0.0.13")
    assert caught.value.hint == "they have 10.0.0.11, 10.0.0.12"


def test_what_is_no_device_does_not_get_into_a_script(site: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no name of a device"):
        done(site, "--shell", "--interface", "$(reboot)")


def test_help_shows_examples() -> None:
    text = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    assert "kernelbal realserver script --site site.yaml --service web --shell > prepare.sh" in text
