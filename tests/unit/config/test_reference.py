"""JSON Schema and the reference pages."""

import json
from pathlib import Path

import pytest

from kernelbal.config.reference import json_schema, reference
from kernelbal.model.fields import Model
from kernelbal.model.node import Node
from kernelbal.model.site import Site
from kernelbal.model.site.check import KINDS

ROOT = Path(__file__).parents[3]
MODELS: dict[str, type[Model]] = {"site": Site, "node": Node}


@pytest.mark.parametrize("name", MODELS)
def test_reference_page_is_current(name: str) -> None:
    page = ROOT / f"docs/reference/{name}.md"
    command = f"kernelbal schema {name} --format markdown > docs/reference/{name}.md"
    assert page.read_text(encoding="utf-8") == reference(MODELS[name]), f"run: {command}"


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_key_is_described(model: type[Model]) -> None:
    schema = json.loads(json_schema(model))
    mappings = [schema, *schema.get("$defs", {}).values()]
    for mapping in mappings:
        for key, value in mapping.get("properties", {}).items():
            target = schema["$defs"][value["$ref"].rpartition("/")[2]] if "$ref" in value else value
            assert value.get("description") or target["description"], f"{mapping['title']}.{key}"
            assert mapping["additionalProperties"] is False


def test_schema_spells_defaults_as_the_document_does() -> None:
    definitions = json.loads(json_schema(Site))["$defs"]
    assert definitions["VirtualService"]["properties"]["drain"]["default"] == "1m"
    assert definitions["VirtualService"]["properties"]["scheduler"]["default"] == "wlc"
    assert definitions["RealServer"]["properties"]["weight"]["default"] == 100


def test_schema_takes_a_protocols_name_for_a_check() -> None:
    check = json.loads(json_schema(Site))["$defs"]["VirtualService"]["properties"]["check"]
    names, mapping = check["anyOf"]
    assert names == {"enum": list(KINDS)}
    assert mapping == {"$ref": "#/$defs/Check"}
    assert check["default"]["interval"] == "9s"


def test_page_describes_what_stands_inside_of_a_check() -> None:
    page = reference(Site)
    for kind in KINDS:
        assert f"\n## virtual_services[].check.{kind}\n" in page
    for title in ("adaptive.http_agent", "adaptive.text_agent", "adaptive.response_time"):
        assert f"\n## virtual_services[].{title}\n" in page
    assert "| `expect` | an HTTP status such as `200`, `2xx` or `200-204`, or a list of them " in page


def test_model_that_stands_in_several_places_is_described_once() -> None:
    page = reference(Site)
    assert page.count("\n## virtual_services[].check.smtp.tls\n") == 1
    assert "## virtual_services[].check.imap.tls" not in page
    assert page.count("(#virtual_serviceschecksmtptls)") == 4


def test_page_of_the_node_describes_the_daemon() -> None:
    page = reference(Node)
    for title in ("api", "api.tls", "api.tls.clients[]", "api.tls.tokens[]", "notify[]"):
        assert f"\n## {title}\n" in page


def test_page_names_each_key_with_values_default_and_meaning() -> None:
    row = "| `weight` | a whole number 0-65535 | `100` | Share of new connections; 0 quiesces. |"
    assert row in reference(Site).splitlines()
