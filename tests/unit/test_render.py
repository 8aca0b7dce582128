"""Templates: found in a checkout, and strict about names. Units: complete with the program's path."""

from pathlib import Path

import jinja2
import pytest

from kernelbal.config.load import load_node, load_site
from kernelbal.errors import StateError
from kernelbal.render import UNIT_PROGRAM, render, template_directory, unit_directory, unit_text
from tests.support.systemd import analyze


def test_the_templates_of_the_checkout_are_found() -> None:
    assert (template_directory() / "director" / "site.yaml.j2").is_file()


def test_a_first_node_document_is_valid() -> None:
    text = render("director/node.yaml.j2", name="lb1", outside="ens3", inside="ens4")
    node = load_node(text.encode(), "node.yaml")
    assert node.interfaces == {"outside": "ens3", "inside": "ens4"}


def test_a_first_site_document_is_valid() -> None:
    site = load_site(render("director/site.yaml.j2").encode(), "site.yaml")
    assert [service.name for service in site.virtual_services] == ["web"]


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="inside"):
        render("director/node.yaml.j2", name="lb1", outside="ens3")


def test_an_unknown_template_is_an_error() -> None:
    with pytest.raises(jinja2.TemplateNotFound):
        render("director/missing.j2")


def test_a_unit_names_the_program() -> None:
    text = unit_text("kernelbal.service", Path("/opt/kernelbal/bin/kernelbal"))
    assert "\nExecStart=/opt/kernelbal/bin/kernelbal run\n" in text
    assert "\nExecReload=/opt/kernelbal/bin/kernelbal reload\n" in text
    assert UNIT_PROGRAM not in text


def test_the_unit_as_it_is_packaged_names_the_packaged_program() -> None:
    name = "kernelbal.service"
    assert unit_text(name, Path(UNIT_PROGRAM)) == (unit_directory() / name).read_text()


@pytest.mark.parametrize("folder", ["plain", "with space", "100%n", "dollar$HOME;x"])
def test_any_path_of_the_program_is_understood(tmp_path: Path, folder: str) -> None:
    """`systemd-analyze` warns when the program of a command line is not there."""
    program = tmp_path / folder / "kernelbal"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "kernelbal.service"
    unit.write_text(unit_text("kernelbal.service", program))
    done = analyze(unit, "verify", "--man=no")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("folder", ['a"quote', "back\\slash", "two\nlines"])
def test_a_path_that_systemd_refuses_is_refused_here(folder: str) -> None:
    with pytest.raises(StateError, match="systemd cannot start"):
        unit_text("kernelbal.service", Path("/opt") / folder / "kernelbal")
