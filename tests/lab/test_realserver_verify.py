"""Verification of real servers on a real kernel: every fault is named, whatever the method and the family."""

from pathlib import Path

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.traffic import http_counts
from kernelbal.model.address import parse_address
from kernelbal.model.ipvs import Protocol, TunnelType
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.verify.gather import Asked
from tests.lab.commands import Operator
from tests.lab.verify_scene import faults, prepare, shown, unclear, verify

pytestmark = pytest.mark.needs_ipvs

VIRTUAL = {4: "10.0.0.80", 6: "fd00::80"}
REAL = {4: "10.0.0.11", 6: "fd00::11"}
CLIENTS = (parse_address("10.0.0.100"), parse_address("fd00::100"))
ASKED = Asked(clients=CLIENTS, director=parse_address("10.0.0.1"))
HTTP = (PortMap(Protocol.TCP, 80, 80),)


def preparation(family: int = 4, method: Method = Method.LOOPBACK) -> Preparation:
    real = parse_address(REAL[family])
    return Preparation(parse_address(VIRTUAL[family]), real, ("eth0",), method, own=real, ports=HTTP)


def test_first(lab: LabFactory) -> None:
    server = lab("one-arm")["rs1"]
    lab.serve([server])
    prepare(server, preparation(4))
    rows = verify(server, preparation(4), asked=ASKED)
    print(shown(rows))
    assert faults(rows) == set(), shown(rows)
    assert 0, shown(rows)
