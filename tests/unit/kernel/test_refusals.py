"""What the kernel's refusals mean, in words."""

import errno
import string

import pytest

from kernelbal.errors import KernelError, NotPermitted, NotSupported
from kernelbal.kernel.refusals import error, read_error, refused
from kernelbal.model.network import AddressAttributes
from kernelbal.plan.action import COMMON_ERRORS, Action, Meaning, Result
from kernelbal.plan.kinds import KINDS
from kernelbal.plan.kinds.addresses import AddAddress, RemoveAddress
from kernelbal.plan.kinds.service_actions import (
    AddDestination,
    AddService,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
)
from kernelbal.plan.kinds.sysctls import WriteSysctl
from tests.support.builders import place, real, service, virtual, weighing

WEB, A = service("192.0.2.10", 80), real("10.0.0.11")
MH = virtual(scheduler="mh").attributes
ADD, EDIT = AddService(WEB, MH), EditService(WEB, MH, MH)
ADD_A = AddDestination(WEB, A, weighing(1))
VIP = place("eth0", "192.0.2.10")
ROWS = [(kind, action, row) for kind in KINDS for action, row in kind.rows.items()]


@pytest.mark.parametrize(
    ("action", "number"),
    [
        (ADD, errno.EEXIST),
        (ADD_A, errno.EEXIST),
        (RemoveService(WEB), errno.ESRCH),
        (RemoveService(WEB), errno.ENOENT),
        (RemoveDestination(WEB, A), errno.ESRCH),
        (RemoveDestination(WEB, A), errno.ENOENT),
        (QuiesceDestination(WEB, A, weighing(1), 60.0), errno.ENOENT),
        (RemoveAddress(VIP), errno.EADDRNOTAVAIL),
    ],
)
def test_what_is_so_already_is_no_failure(action: Action, number: int) -> None:
    assert refused(action, number, "as it says").result is Result.ALREADY


@pytest.mark.parametrize("action", [ADD, EDIT])
def test_missing_scheduler_is_named(action: Action) -> None:
    outcome = refused(action, errno.ENOENT)
    assert (outcome.action, outcome.result, outcome.errno) == (action, Result.FAILED, errno.ENOENT)
    assert "`mh`" in outcome.message
    assert outcome.hint == "modprobe ip_vs_mh"


def test_missing_scheduler_or_engine_are_both_named() -> None:
    outcome = refused(AddService(WEB, MH._replace(engine="sip")), errno.ENOENT)
    assert "`mh` or no persistence engine `sip`" in outcome.message
    assert outcome.hint == "modprobe -a ip_vs_mh ip_vs_pe_sip"


def test_name_with_braces_is_shown_as_it_is() -> None:
    assert "`{key}`" in refused(AddService(WEB, MH._replace(scheduler="{key}")), errno.ENOENT).message


def test_missing_sysctl_names_module_or_device() -> None:
    def hint(path: str) -> str:
        return refused(WriteSysctl(path, "", "1", "Why."), errno.ENOENT).hint

    assert hint("net/ipv4/vs/conntrack").startswith("modprobe ip_vs")
    assert "ip link show eth7" in hint("net/ipv4/conf/eth7/rp_filter")
    assert "too old" in hint("net/core/what")


def test_destination_of_a_missing_service_is_no_success() -> None:
    assert refused(ADD_A, errno.ESRCH).result is Result.FAILED


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES])
@pytest.mark.parametrize("action", [ADD, ADD_A, RemoveAddress(VIP)])
def test_missing_capability_is_named(action: Action, number: int) -> None:
    outcome = refused(action, number)
    assert "CAP_NET_ADMIN" in outcome.message
    assert "sudo" in outcome.hint


def test_row_of_the_action_comes_before_the_common_one() -> None:
    assert "disable_ipv6" in refused(AddAddress(VIP, AddressAttributes()), errno.EACCES).hint


def test_unlisted_number_is_worded_by_the_system_and_the_kernels_own_words_are_added() -> None:
    assert refused(ADD, errno.EXDEV).message == "invalid cross-device link"
    assert refused(ADD, errno.EXDEV, "bad wheel").message.endswith("(kernel: bad wheel)")


@pytest.mark.parametrize(("kind", "action", "row"), ROWS, ids=[action.__name__ for _, action, _ in ROWS])
def test_row_is_fit_for_users(kind: object, action: type, row: object) -> None:
    assert row.operation
    assert row.operation[0].islower()
    for number, meaning in {**COMMON_ERRORS, **row.errors}.items():
        assert number in errno.errorcode
        if isinstance(meaning, Meaning):
            assert meaning.message
            assert meaning.message[0].islower() or meaning.message.startswith("/proc")
            assert not meaning.message.endswith(".")
            fields = {field for text in meaning[1:] for _, field, _, _ in string.Formatter().parse(text)}
            assert {field.split(".")[0] for field in fields if field} <= {*action._fields}


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EPERM, NotPermitted),
        (errno.EACCES, NotPermitted),
        (errno.EAFNOSUPPORT, NotSupported),
        (errno.EPROTONOSUPPORT, NotSupported),
        (errno.EOPNOTSUPP, NotSupported),
        (errno.EBUSY, KernelError),
    ],
)
def test_exception_says_what_its_catcher_can_do(number: int, kind: type[KernelError]) -> None:
    found = error("replace nftables table", "inet kernelbal", number, "as libnftables says")
    assert type(found) is kind
    assert (found.operation, found.target, found.errno) == (
        "replace nftables table",
        "inet kernelbal",
        number,
    )
    assert found.message.startswith("cannot replace nftables table: ")
    assert found.message.endswith("(kernel: as libnftables says)")


def test_reading_that_fails() -> None:
    assert isinstance(read_error("addresses", PermissionError(errno.EPERM, "")), NotPermitted)
    found = read_error("addresses", OSError(0, "it changed all the time"))
    assert (found.message, found.hint) == ("cannot read addresses: it changed all the time", "try again")
