"""Namespaces without a name: they end with their descriptor, and nobody is left behind in one."""

import os
import socket

import pytest

from kernelbal.kernel.netns import OWN_NETWORK_NAMESPACE, inside, own_namespace, scratch_namespace

pytestmark = pytest.mark.needs_root


def here() -> str:
    return os.readlink(OWN_NETWORK_NAMESPACE)


def test_scratch_namespace_is_another_one() -> None:
    before = here()
    with scratch_namespace() as descriptor:
        assert inside(descriptor, here) not in (before, "")
        assert here() == before
        assert inside(descriptor, socket.if_nameindex) == [(1, "lo")]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_error_leaves_nobody_there() -> None:
    before = here()
    with scratch_namespace() as descriptor:
        with pytest.raises(ZeroDivisionError):
            inside(descriptor, lambda: 1 // 0)
        assert here() == before


def test_own_namespace() -> None:
    descriptor = own_namespace()
    try:
        assert inside(descriptor, here) == here()
    finally:
        os.close(descriptor)
