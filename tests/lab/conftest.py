"""Fixtures for tests that start guests themselves; they run outside of any."""

import os

import pytest

from kernelbal.lab.backends.uml import UmlBackend


@pytest.fixture(scope="session")
def uml() -> UmlBackend:
    """User-mode Linux; without its kernel the test is skipped, or fails where IPVS is required."""
    backend = UmlBackend()
    refusal = backend.refusal()
    if refusal is None:
        return backend
    if os.environ.get("CI") or os.environ.get("KERNELBAL_REQUIRE_IPVS"):
        pytest.fail(str(refusal))
    pytest.skip(str(refusal))
