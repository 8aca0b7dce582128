"""Words for the kernel's error numbers."""

import errno
from typing import get_args

import pytest

from kernelbal.errors import KernelError, NotPermitted, NotSupported
from kernelbal.kernel.network_errors import TABLE, error, failure, meaning_of, read_error
from kernelbal.model.address import parse_address
from kernelbal.model.network import AddressAttributes, AddressKey
from kernelbal.plan.actions import Action, AddAddress, RemoveAddress, ReplaceTable, Result, WriteSysctl

KEY = AddressKey("eth0", parse_address("192.0.2.10"), 24)
ADD, REMOVE = AddAddress(KEY, AddressAttributes()), RemoveAddress(KEY)


@pytest.mark.parametrize(("kind", "number"), TABLE, ids=str)
def test_every_row_is_about_an_action_and_in_words(kind: type[Action] | None, number: int) -> None:
    meaning = TABLE[kind, number]
    assert kind is None or kind in get_args(Action)
    assert number in errno.errorcode
    assert meaning.message
    assert meaning.message[0].islower() or meaning.message.startswith("/proc")
    assert not meaning.message.endswith(".")
    assert meaning.result in (Result.FAILED, Result.ALREADY)


def test_words_of_the_kernel_are_kept() -> None:
    outcome = failure(ADD, errno.EINVAL, "ipv4: Invalid scope value")
    assert (outcome.action, outcome.result, outcome.errno) == (ADD, Result.FAILED, errno.EINVAL)
    assert outcome.message == "the kernel refuses this address (kernel: ipv4: Invalid scope value)"
    assert outcome.hint


def test_removing_what_is_gone_is_no_failure() -> None:
    outcome = failure(REMOVE, errno.EADDRNOTAVAIL, "ipv4: Address not found")
    assert (outcome.result, outcome.message) == (Result.ALREADY, "was gone already")


def test_row_of_the_action_comes_before_the_common_one() -> None:
    assert "disable_ipv6" in failure(ADD, errno.EACCES).hint
    assert "CAP_NET_ADMIN" in failure(REMOVE, errno.EACCES).message


def test_unknown_number_is_worded_by_the_library() -> None:
    assert meaning_of(WriteSysctl, errno.EXDEV).message == "invalid cross-device link"


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EPERM, NotPermitted), (errno.EOPNOTSUPP, NotSupported), (errno.EBUSY, KernelError)],
)
def test_exceptions_say_what_their_catcher_can_do(number: int, kind: type[KernelError]) -> None:
    found = error(ReplaceTable, "replace nftables table", "inet kernelbal", number, "as libnftables says")
    assert type(found) is kind
    assert (found.errno, found.target) == (number, "inet kernelbal")
    assert found.message.startswith("cannot replace nftables table: ")
    assert found.message.endswith("(kernel: as libnftables says)")


def test_reading_that_fails() -> None:
    assert isinstance(read_error("addresses", PermissionError(errno.EPERM, "")), NotPermitted)
    found = read_error("addresses", OSError(0, "it changed all the time"))
    assert (found.message, found.hint) == ("cannot read addresses: it changed all the time", "try again")
