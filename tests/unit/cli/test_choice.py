"""Options that take some of an enum's members."""

from enum import Enum

import pytest
import typer
from typer.testing import CliRunner

from kernelbal.cli.choice import choice_option


class Colour(Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


COLOUR = choice_option("--colour", (Colour.RED, Colour.BLUE), unset="auto", help="Which.")
app = typer.Typer()


@app.command()
def paint(colour: Colour | None = COLOUR) -> None:
    typer.echo(repr(colour))


@pytest.mark.parametrize(
    ("typed", "printed"),
    [([], "None"), (["--colour", "red"], repr(Colour.RED)), (["--colour", "auto"], "None")],
)
def test_member_is_found_by_its_value(typed: list[str], printed: str) -> None:
    assert CliRunner().invoke(app, typed).output.strip() == printed


def test_what_is_left_out_is_refused() -> None:
    result = CliRunner().invoke(app, ["--colour", "green"])
    assert result.exit_code == 2
    assert "invalid value `green`" in result.output


def test_help_names_what_it_takes() -> None:
    assert "auto|red|blue" in CliRunner().invoke(app, ["--help"]).output
