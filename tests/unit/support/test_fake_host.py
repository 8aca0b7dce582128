"""The host in memory does what it is told; what a real one does is proved in tests/lab/test_realserver.py."""

import errno

import pytest

from kernelbal.errors import KernelError
from kernelbal.model.network import GueListener, LinkState
from kernelbal.plan.actions import CloseListener, EnsureLink, OpenListener, ReplaceTable
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.rules import tables
from kernelbal.realserver.setup import INET_TABLE
from kernelbal.realserver.steps import RemoveFile, WriteFile
from tests.unit.realserver.desk import fake_host
from tests.unit.realserver.samples import prepared

PORT = GueListener(5555, 2)


def test_steps_are_performed_up_to_the_first_that_fails() -> None:
    host = fake_host()
    host.refuse = lambda step: errno.EPERM if isinstance(step, OpenListener) else 0
    steps = (WriteFile("/a", None, "1"), OpenListener(PORT), WriteFile("/b", None, "2"))
    assert [outcome.ok for outcome in host.perform(steps)] == [True, False]
    assert host.files == {"/a": "1"}
    assert host.performed == list(steps[:2])


def test_everything_can_be_put_and_taken() -> None:
    host = fake_host()
    (table,) = tables([prepared(method=Method.REDIRECT)], {})
    host.perform([OpenListener(PORT), ReplaceTable(None, table), EnsureLink(LinkState("tunl0", "ipip"))])
    found = host.observe_more(host.observe(), (), tables=True)
    assert (found.listeners, found.tables) == (frozenset({PORT}), (table,))
    assert host.read_files(("/a",)) == {"/a": None}
    assert found.link("tunl0")
    host.perform([CloseListener(PORT), ReplaceTable(table, INET_TABLE), RemoveFile("/a", "old")])
    assert (host.listeners, host.tables, host.files) == (set(), {}, {"/a": "old"})


def test_check_finds_what_is_forbidden() -> None:
    host = fake_host()
    host.forbid = lambda step: errno.EROFS
    with pytest.raises(KernelError):
        host.check([OpenListener(PORT)])
