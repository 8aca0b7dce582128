"""What the driver makes of libnftables' answers; a scripted context plays libnftables."""

import ctypes
import errno
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kernelbal.errors import KernelError, NotPermitted, NotSupported
from kernelbal.kernel import nftables
from kernelbal.kernel.nftables import Nftables
from kernelbal.kernel.tables import perform_tables
from kernelbal.model.address import parse_address
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.plan.action import Result
from kernelbal.plan.classifier import build_table
from kernelbal.plan.kinds.tables import ReplaceTable

TABLE = build_table({(parse_address("192.0.2.10"), 6, 80, 80): 1}, frozenset())
DENIED = "Error: Operation not permitted (you must be root)\nlist table inet kernelbal\n^^^^\n"
ABSENT = "Error: No such file or directory\nlist table inet kernelbal\n"
NO_NFTABLES = "netlink: Error: cache initialization failed: Protocol not supported\n"
ODD = "internal:0:0-0: Error: Could not process rule: Bad moon rising\n"


class ScriptedContext:
    """Gives one answer, and keeps what it was asked."""

    def __init__(self, status: int = 0, output: str = "", said: str = "") -> None:
        self._Nftables__ctx = 4711
        self._answer = (status, output, said)
        self.asked: list[dict[str, Any]] = []

    def cmd(self, command: str, /) -> tuple[int, str, str]:
        self.asked.append(json.loads(command))
        return self._answer


class NoFunction:
    argtypes: list[object]

    def __init__(self, calls: list[tuple[int, bool]]) -> None:
        self._calls = calls

    def __call__(self, context: int, on: bool) -> None:
        self._calls.append((context, on))


def driver(context: ScriptedContext, dry_runs: list[tuple[int, bool]] | None = None) -> Nftables:
    library = SimpleNamespace(nft_ctx_set_dry_run=NoFunction([] if dry_runs is None else dry_runs))
    return Nftables(context, cast("ctypes.CDLL", library))


@pytest.mark.parametrize("said", [ABSENT, NO_NFTABLES])
def test_no_table_and_no_nftables_are_no_table(said: str) -> None:
    assert driver(ScriptedContext(-1, "", said)).observe() is None


def test_chains_that_drop_by_default_are_named() -> None:
    def chain(name: str, **more: str) -> dict[str, dict[str, str]]:
        return {"chain": {"family": "inet", "table": "filter", "name": name, **more}}

    listed = [
        {"metainfo": {}},
        chain("input", hook="input", policy="drop"),
        chain("output", hook="output", policy="accept"),
        chain("ours"),
    ]
    context = ScriptedContext(0, json.dumps({"nftables": listed}))
    assert driver(context).dropping_chains() == ("inet filter input",)


def test_kernel_without_nftables_drops_nothing() -> None:
    assert driver(ScriptedContext(-1, "", NO_NFTABLES)).dropping_chains() == ()


def test_kernel_without_nftables_has_no_foreign_tables() -> None:
    assert driver(ScriptedContext(-1, "", NO_NFTABLES)).foreign_tables() == ()


def test_foreign_tables_are_all_but_ours() -> None:
    names = [("ip", "nat"), ("inet", "kernelbal"), ("ip", "kernelbal"), ("inet", "firewalld")]
    objects = [{"metainfo": {}}, *({"table": {"family": f, "name": n, "handle": 1}} for f, n in names)]
    context = ScriptedContext(0, json.dumps({"nftables": objects}))
    assert driver(context).foreign_tables() == ("inet firewalld", "ip kernelbal", "ip nat")


@pytest.mark.parametrize("call", ["observe", "foreign_tables"])
def test_missing_right_is_named(call: str) -> None:
    with pytest.raises(NotPermitted, match="CAP_NET_ADMIN") as caught:
        getattr(driver(ScriptedContext(-1, "", DENIED)), call)()
    assert caught.value.errno == errno.EPERM
    assert "root" in str(caught.value.hint)


def test_check_is_a_dry_run_of_what_replace_does() -> None:
    calls: list[tuple[int, bool]] = []
    context = ScriptedContext()
    checking = driver(context, calls)
    checking.check(TABLE)
    assert calls == [(4711, True), (4711, False)]
    checking.replace(TABLE)
    assert context.asked[0] == context.asked[1]
    assert len(calls) == 2


def test_dry_run_ends_when_the_kernel_refuses() -> None:
    calls: list[tuple[int, bool]] = []
    with pytest.raises(KernelError):
        driver(ScriptedContext(-1, "", ODD), calls).check(TABLE)
    assert calls[-1] == (4711, False)


def test_one_replace_is_one_transaction() -> None:
    context = ScriptedContext()
    outcomes = perform_tables(driver(context), [ReplaceTable(None, TABLE)])
    assert [outcome.result for outcome in outcomes] == [Result.DONE]
    assert len(context.asked) == 1


@pytest.mark.parametrize(
    ("said", "number", "words"),
    [
        (
            "Error: Could not process rule: Operation not supported\n",
            errno.EOPNOTSUPP,
            "lacks what this takes",
        ),
        (NO_NFTABLES, errno.EPROTONOSUPPORT, "has no nftables"),
        (ODD, 0, "Bad moon rising"),
        ("", 0, "no reason given"),
    ],
)
def test_refusal_keeps_the_words_of_the_library(said: str, number: int, words: str) -> None:
    action = ReplaceTable(None, TABLE)
    refused, next_one = perform_tables(driver(ScriptedContext(-1, "", said)), [action, action])
    assert (refused.result, refused.errno) == (Result.FAILED, number)
    assert words in refused.message
    assert "modprobe" in refused.hint
    assert next_one.result is Result.FAILED


def test_missing_library_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nftables, "LIBRARY", "libnonexistent.so.1")
    with pytest.raises(NotSupported, match=r"libnonexistent\.so\.1 is missing") as caught:
        Nftables.open()
    assert caught.value.hint == "apt install libnftables1"


def test_empty_table_is_deleted() -> None:
    context = ScriptedContext()
    driver(context).replace(EMPTY_TABLE)
    assert [list(command) for command in context.asked[0]["nftables"]] == [["metainfo"], ["add"], ["delete"]]
