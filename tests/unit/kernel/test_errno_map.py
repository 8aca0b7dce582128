"""What the kernel's refusals mean, in words."""

import errno
import string

import pytest

from kernelbal.errors import KernelError, NotPermitted, NotSupported
from kernelbal.kernel import errno_map
from kernelbal.kernel.errno_map import TABLE, Meaning, Operation, Subject, explain
from kernelbal.plan.actions import Result

WEB = Subject("192.0.2.10:80/tcp", scheduler="mh")


@pytest.mark.parametrize(
    ("operation", "number"),
    [
        (Operation.ADD_SERVICE, errno.EEXIST),
        (Operation.ADD_DESTINATION, errno.EEXIST),
        (Operation.REMOVE_SERVICE, errno.ESRCH),
        (Operation.REMOVE_SERVICE, errno.ENOENT),
        (Operation.REMOVE_DESTINATION, errno.ESRCH),
        (Operation.REMOVE_DESTINATION, errno.ENOENT),
        (Operation.QUIESCE_DESTINATION, errno.ENOENT),
    ],
)
def test_what_is_so_already_is_no_failure(operation: Operation, number: int) -> None:
    assert explain(operation, number, WEB).result is Result.ALREADY


@pytest.mark.parametrize("operation", [Operation.ADD_SERVICE, Operation.EDIT_SERVICE])
def test_missing_scheduler_is_named(operation: Operation) -> None:
    found = explain(operation, errno.ENOENT, WEB)
    assert found.result is Result.FAILED
    assert "`mh`" in found.message
    assert found.hint == "modprobe ip_vs_mh"


def test_missing_scheduler_or_engine_are_both_named() -> None:
    found = explain(Operation.ADD_SERVICE, errno.ENOENT, WEB._replace(engine="sip"))
    assert "`mh`" in found.message
    assert "`sip`" in found.message
    assert found.hint == "modprobe -a ip_vs_mh ip_vs_pe_sip"


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES])
def test_missing_capability_is_named(operation: Operation, number: int) -> None:
    found = explain(operation, number, WEB)
    assert found.result is Result.FAILED
    assert "CAP_NET_ADMIN" in found.message
    assert "sudo" in found.hint


def test_destination_of_a_missing_service_is_no_success() -> None:
    assert explain(Operation.ADD_DESTINATION, errno.ESRCH, WEB).result is Result.FAILED


def test_unlisted_number_is_worded_by_the_system() -> None:
    found = explain(Operation.ADD_SERVICE, errno.EXDEV, WEB)
    assert found == (Result.FAILED, "invalid cross-device link", "")


def test_kernels_own_words_are_added() -> None:
    assert explain(Operation.ADD_SERVICE, errno.EXDEV, WEB, "bad wheel").message.endswith(
        "(kernel: bad wheel)"
    )


def test_name_with_braces_is_shown_as_it_is() -> None:
    found = explain(Operation.ADD_SERVICE, errno.ENOENT, WEB._replace(scheduler="{target}"))
    assert "`{target}`" in found.message


@pytest.mark.parametrize("meaning", set(TABLE.values()))
def test_row_is_fit_for_users(meaning: Meaning) -> None:
    assert meaning.message
    assert not meaning.message.endswith(".")
    for text in (meaning.message, meaning.hint):
        fields = {field for _, field, _, _ in string.Formatter().parse(text) if field}
        assert fields <= set(Subject._fields)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EPERM, NotPermitted),
        (errno.EACCES, NotPermitted),
        (errno.EAFNOSUPPORT, NotSupported),
        (errno.EPROTONOSUPPORT, NotSupported),
        (errno.ENOMEM, KernelError),
    ],
)
def test_exception_says_what_its_catcher_can_do(number: int, kind: type[KernelError]) -> None:
    error = errno_map.error(Operation.READ, number, WEB)
    assert type(error) is kind
    assert (error.operation, error.target, error.errno) == ("read the IPVS table", WEB.target, number)
    assert error.message.startswith("192.0.2.10:80/tcp: ")


def test_exception_without_target_names_the_operation() -> None:
    error = errno_map.error(Operation.READ, errno.EPERM, Subject(""))
    assert error.message == "cannot read the IPVS table: the kernel requires CAP_NET_ADMIN"
    assert error.hint is not None
