"""Whose device a MAC address is."""

import pytest

from kernelbal.kernel.hardware_vendor import LOCALLY_ADMINISTERED, UNREGISTERED, vendor_of


@pytest.mark.parametrize(
    ("hardware", "vendor"),
    [
        ("00:50:56:12:34:56", "VMware, Inc."),
        ("00:1b:21:12:34:56", "Intel Corporate"),
        ("52:54:00:12:34:56", LOCALLY_ADMINISTERED),
        ("02:00:00:00:00:01", LOCALLY_ADMINISTERED),
        ("fc:ff:ff:12:34:56", UNREGISTERED),
    ],
)
def test_vendor(hardware: str, vendor: str) -> None:
    assert vendor_of(hardware) == vendor
