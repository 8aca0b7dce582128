"""Explanations as documents."""

from typing import Any

from msgspec import to_builtins

from kernelbal.plan.explain.document import explanation_document
from kernelbal.plan.explain.engine import explain
from kernelbal.plan.explain.query import KernelView
from kernelbal.plan.explain.result import Explanation
from tests.unit.plan.explain.scene import query, service, view

FIELDS = {
    "source",
    "query",
    "client",
    "client_port",
    "virtual_address",
    "port",
    "protocol",
    "outcome",
    "answer",
    "service",
    "service_name",
    "mark",
    "masquerade",
    "translated_to",
    "real_server",
    "certainty",
    "steps",
    "candidates",
    "failing_objects",
}


def explained(seen: KernelView | None = None) -> Explanation:
    return explain(query(), seen or view(service("wlc", 1, 1, 0)))


def dumped(explanation: Explanation) -> dict[str, Any]:
    return to_builtins(explanation_document(explanation))


def test_document_has_the_documented_fields() -> None:
    document = dumped(explained())
    assert document.keys() == FIELDS


def test_document_of_a_candidate() -> None:
    candidate = dumped(explained())["candidates"][0]
    assert (candidate["real_server"], candidate["chosen"], candidate["why_out"]) == (
        "10.0.0.11:80",
        True,
        None,
    )
    assert candidate["forwarding"]["device"] == "eth1"
    assert candidate["return"]["way"] == "via-director"
    quiesced = dumped(explained())["candidates"][2]
    assert (quiesced["state"], quiesced["why_out"]) == ("quiesced", "weight 0: no new connections")


def test_document_without_a_service() -> None:
    document = dumped(explained(view()))
    assert (document["service"], document["real_server"], document["certainty"]) == (None, None, None)
    assert (document["candidates"], document["mark"]) == ([], None)
