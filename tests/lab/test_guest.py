"""The environment that tests marked `needs_ipvs` find themselves in."""

import os
from pathlib import Path

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.traffic import ping

pytestmark = pytest.mark.needs_ipvs


def test_kernel_has_ipvs() -> None:
    assert Path("/proc/net/ip_vs").read_text().startswith("IP Virtual Server version 1.2.1")


def test_runs_as_root_in_the_lab() -> None:
    assert os.geteuid() == 0
    assert os.environ["KERNELBAL_IN_LAB"] == "1"


@pytest.mark.parametrize("address", ["10.0.0.11", "fd00::13", "192.0.2.1", "2001:db8:1::1"])
def test_two_arm_client_reaches(lab: LabFactory, address: str) -> None:
    two_arm = lab("two-arm")
    assert ping(two_arm.client, address)
