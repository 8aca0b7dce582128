"""Labs on demand that go down together."""

import contextlib
import os

import pytest

from kernelbal.lab.errors import TopologyError
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.topology import load_topology
from kernelbal.lab.traffic import http_get

pytestmark = pytest.mark.needs_root


def test_all_goes_down_with_the_stack() -> None:
    with contextlib.ExitStack() as stack:
        build = LabFactory(stack)
        site = build("one-arm")
        build(load_topology("two-arm"), prefix="b-")
        build.serve(site.real_servers)
        assert http_get(site.client, site["rs2"].address()).startswith("rs2")
        assert len(os.listdir("/run/netns")) == 12
    assert not os.listdir("/run/netns")


def test_unknown_topology_is_refused() -> None:
    with contextlib.ExitStack() as stack, pytest.raises(TopologyError):
        LabFactory(stack)("three-arm")
