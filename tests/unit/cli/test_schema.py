"""`kernelbal schema`."""

import json

import pytest

from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.config.reference import reference
from kernelbal.model.node import Node
from kernelbal.model.site import Site


@pytest.mark.parametrize(("document", "title"), [([], "Site"), (["site"], "Site"), (["node"], "Node")])
def test_json_schema_is_printed(document: list[str], title: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", *document]) == ExitCode.OK
    schema = json.loads(capsys.readouterr().out)
    assert (schema["title"], schema["$schema"]) == (title, "https://json-schema.org/draft/2020-12/schema")
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(("document", "model"), [("site", Site), ("node", Node)])
def test_reference_page_is_printed(
    document: str, model: type[Site | Node], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["schema", document, "--format", "markdown"]) == ExitCode.OK
    assert capsys.readouterr().out == reference(model)


def test_unknown_document_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "zone"]) == ExitCode.USAGE
    assert "zone" in capsys.readouterr().err
