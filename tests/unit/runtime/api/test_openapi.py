"""The OpenAPI document."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from kernelbal.runtime.api.openapi import document
from kernelbal.runtime.api.routes import ROUTES


def references(value: Any) -> Iterator[str]:  # noqa: ANN401 - a JSON document
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    found = document()
    schemas = found["components"]["schemas"]
    used = {each.removeprefix("#/components/schemas/") for each in references(found)}
    assert used == schemas.keys()


def test_it_has_what_openapi_3_1_requires() -> None:
    found = document()
    assert found["openapi"].startswith("3.1.")
    assert found["info"].keys() >= {"title", "version"}
    ids = [op["operationId"] for path in found["paths"].values() for op in path.values()]
    assert len(ids) == len(set(ids)) == len(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_each_operation_is_whole(route: Any) -> None:  # noqa: ANN401 - a parameter
    operation = document()["paths"][route.path][route.method.lower()]
    named = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
    assert named == set(re.findall(r"{(\w+)}", route.path))
    assert all(each["description"] and each["content"] for each in operation["responses"].values())
    assert all(each["required"] for each in operation["parameters"] if each["in"] == "path")
    assert ("requestBody" in operation) == (route.request is not None)
    assert {"401", "403"} <= operation["responses"].keys()
