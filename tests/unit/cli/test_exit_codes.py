"""Exit codes: one table, and every error that a user may see stands in it."""

import pytest

from kernelbal import errors
from kernelbal.cli.exit_codes import MEANINGS, ExitCode, exit_code_of
from kernelbal.errors import (
    AccessDenied,
    ApiFailed,
    ConfigError,
    FileUnreadable,
    InvalidRequest,
    KernelbalError,
    KernelError,
    NoDaemon,
    NotConverged,
    NotPermitted,
    NotSupported,
    OrderRefused,
    PlanRefused,
    RecordDamaged,
    StateError,
)

TABLE = {
    ConfigError: 78,
    InvalidRequest: 64,
    FileUnreadable: 66,
    KernelError: 1,
    NotPermitted: 77,
    NotSupported: 69,
    StateError: 74,
    RecordDamaged: 74,
    PlanRefused: 1,
    OrderRefused: 1,
    NotConverged: 1,
    ApiFailed: 1,
    NoDaemon: 69,
    AccessDenied: 77,
    KernelbalError: 1,
}


def make(kind: type[KernelbalError]) -> KernelbalError:
    """Return an error of a kind."""
    if issubclass(kind, ConfigError):
        return kind(())
    return kind("read", "it", 1, "no") if issubclass(kind, KernelError) else kind("no")


@pytest.mark.parametrize(("kind", "code"), TABLE.items(), ids=lambda value: getattr(value, "__name__", None))
def test_error_has_its_code(kind: type[KernelbalError], code: int) -> None:
    assert exit_code_of(make(kind)) == code


def test_every_error_stands_in_the_table() -> None:
    kinds = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)}
    assert kinds == TABLE.keys()


def test_unknown_error_of_ours_is_a_failure() -> None:
    class Other(KernelbalError):
        """An error that the table does not know."""

    assert exit_code_of(Other("no")) == ExitCode.FAILED


def test_derived_error_has_the_code_of_its_base() -> None:
    class Ipvs(NotSupported):
        """A kind of missing feature."""

    assert exit_code_of(Ipvs("open", "ipvs", 2, "no")) == ExitCode.UNAVAILABLE


def test_every_code_has_a_meaning() -> None:
    assert MEANINGS.keys() == set(ExitCode)
