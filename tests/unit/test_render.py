"""Templates: found in a checkout, and strict about names."""

import jinja2
import pytest

from kernelbal.config.load import load_node, load_site
from kernelbal.render import render, template_directory


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
