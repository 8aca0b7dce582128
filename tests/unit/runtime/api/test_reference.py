"""The reference pages of the API and of the metrics."""

import json
from pathlib import Path

import pytest

from kernelbal.cli.app import run
from kernelbal.model.event import Topic
from kernelbal.runtime.api.reference import api_page, events_json, events_page, metrics_json, metrics_page

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("name", "page"), [("api", api_page()), ("metrics", metrics_page()), ("events", events_page())]
)
def test_page_is_current(name: str, page: str) -> None:
    command = f"kernelbal schema {name} --format markdown > docs/reference/{name}.md"
    assert (ROOT / f"docs/reference/{name}.md").read_text(encoding="utf-8") == page, f"run: {command}"


def test_pages_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "metrics"]) == 0
    assert capsys.readouterr().out == metrics_json() + "\n"
    assert run(["schema", "api", "--format", "markdown"]) == 0
    assert capsys.readouterr().out == api_page()


def test_every_topic_has_a_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", "events"]) == 0
    assert capsys.readouterr().out == events_json() + "\n"
    assert {row["topic"] for row in json.loads(events_json())["topics"]} == {each.value for each in Topic}


def test_page_names_fields_with_types() -> None:
    lines = api_page().splitlines()
    assert any(line.startswith("| `POST /v1/reload` | change | Re-read the documents") for line in lines)
    assert "| `order` | [Admin](#admin) |  |" in lines
    assert "One of `disable`, `drain`." in lines
