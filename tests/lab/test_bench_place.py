"""A fresh network namespace per contender, and cheap questions about what it holds."""

import socket
from pathlib import Path

import pytest

from bench import place
from bench.apply.workload import DEVICE, Workload, ipvsadm_rules
from bench.place import fresh_namespace, open_counter
from kernelbal.lab import process
from kernelbal.lab.errors import LabError

pytestmark = pytest.mark.needs_ipvs

FEW = Workload(3)


def named_namespaces() -> list[str]:
    return [path.name for path in Path("/run/netns").iterdir() if path.name.startswith("bench")]


def devices() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def test_a_namespace_has_a_device_and_is_gone_afterwards() -> None:
    before = devices()
    with fresh_namespace():
        assert devices() >= {"lo", DEVICE}
        assert len(named_namespaces()) == 1
    assert named_namespaces() == []
    assert devices() <= before


def test_a_namespace_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_END_LIMIT_S", 0.0)
    with pytest.raises(LabError, match="did not end"), fresh_namespace():
        held = socket.socket()
    held.close()


def test_what_one_contender_programs_the_next_does_not_find() -> None:
    for _ in range(2):
        with fresh_namespace(), open_counter() as counter:
            assert counter.is_full(Workload(0))
            process.run(["ipvsadm", "-R"], stdin=ipvsadm_rules(FEW))
            assert counter.is_full(FEW)


def test_a_missing_real_server_is_noticed() -> None:
    rules = ipvsadm_rules(FEW).splitlines()[:-1]
    with fresh_namespace(), open_counter() as counter:
        process.run(["ipvsadm", "-R"], stdin="\n".join(rules) + "\n")
        assert not counter.is_full(FEW)
        assert counter.fault(FEW) == "services and real servers are (3, 29), not (3, 30)"
