"""Large documents in pieces."""

import json

import pytest
from msgspec import to_builtins

from kernelbal.runtime.api import documents
from kernelbal.runtime.api.documents import joined, service_json, status_json
from tests.support.fake_control import FakeSnapshot, director_status, server_status, service_status


@pytest.mark.parametrize("counts", [[], [0], [1], [3, 0, 2]])
def test_pieces_are_the_document(counts: list[int]) -> None:
    services = [
        service_status(f"s{number}", [server_status(f"10.0.{number}.{each}") for each in range(count)])
        for number, count in enumerate(counts)
    ]
    status = director_status(services)
    whole = b"".join(status_json(FakeSnapshot(status, [])))
    assert json.loads(whole) == to_builtins(status)
    for service in services:
        whole = b"".join(service_json(FakeSnapshot(status, []), service.name))
        assert json.loads(whole) == to_builtins(service)


def test_pieces_are_neither_tiny_nor_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PIECE_BYTES", 10)
    assert list(joined([b"x" * 4] * 7)) == [b"x" * 12, b"x" * 12, b"x" * 4]
    assert list(joined([])) == []
