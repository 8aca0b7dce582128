"""Our nftables tables through libnftables (`libnftables-json(5)`).

A table is replaced as a whole, in one transaction and without looking at what is there: packets see either
the old table or the new one, and a table that someone edited is reverted by the same three commands.

Numbers are asked for instead of names, so that neither /etc/protocols nor /etc/services has a say.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
from collections.abc import Collection, Sequence
from typing import Final, Protocol, Self

from kernelbal.errors import KernelError, NotSupported
from kernelbal.kernel.nft_json import Command, parse_table, replacement, table_object
from kernelbal.kernel.refusals import error
from kernelbal.model.nft import EMPTY_TABLE, NftTable
from kernelbal.plan.kinds.tables import NFT_MODULES, NftTables, ReplaceTable

LIBRARY: Final = "libnftables.so.1"
_CONTEXT_FIELD: Final = "_Nftables__ctx"
"""The binding's `struct nft_ctx`; the published binding has no method for dry runs."""
TARGET: Final = EMPTY_TABLE.title
"""The table of a director."""

_ERRNO_BY_WORDS: Final = {
    os.strerror(number): number
    for number in (
        errno.EPERM,
        errno.ENOENT,
        errno.EEXIST,
        errno.EBUSY,
        errno.EINVAL,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EOPNOTSUPP,
        errno.EPROTONOSUPPORT,
        errno.EAFNOSUPPORT,
        errno.EMSGSIZE,
    )
}
"""libnftables reports errors in words alone."""
_NO_NFTABLES: Final = (errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.EAFNOSUPPORT)


class Context(Protocol):
    """What is needed of `nftables.Nftables`."""

    def cmd(self, command: str, /) -> tuple[int, str, str]:
        """Run commands; return status, output and errors."""


class Nftables:
    """A libnftables context in the network namespace of the thread that made it."""

    def __init__(self, context: Context, library: ctypes.CDLL) -> None:
        self._context = context
        self._set_dry_run = library.nft_ctx_set_dry_run
        self._set_dry_run.argtypes = [ctypes.c_void_p, ctypes.c_bool]

    @classmethod
    def open(cls) -> Self:
        """Open a context.

        Raises:
            NotSupported: libnftables is not installed.
        """
        try:
            library = ctypes.CDLL(LIBRARY)
        except OSError as fault:
            raise NotSupported(
                "open nftables", TARGET, errno.ENOENT, f"{LIBRARY} is missing", "apt install libnftables1"
            ) from fault
        import nftables  # not above: a machine without libnftables must get the words above

        context = nftables.Nftables(LIBRARY)
        context.set_json_output(True)
        context.set_stateless_output(True)
        context.set_numeric_proto_output(True)
        context.set_numeric_prio_output(True)
        context.set_numeric_symbol_output(True)
        return cls(context, library)

    def observe(self, of: NftTable = EMPTY_TABLE) -> NftTable | None:
        """Return a table, None when there is none.

        Args:
            of: its family and name; by default a director's.

        Raises:
            KernelError: it cannot be read.
        """
        try:
            listed = self._run("read nftables table", [{"list": {"table": table_object(of)}}], of.title)
            return parse_table(listed, of._replace(sets=(), chains=()))
        except KernelError as fault:
            if fault.errno == errno.ENOENT or fault.errno in _NO_NFTABLES:
                return None
            raise

    def foreign_tables(self, ours: Collection[str] = (TARGET,)) -> tuple[str, ...]:
        """Return the names of the tables that are not ours, such as `ip filter`.

        Raises:
            KernelError: they cannot be read.
        """
        try:
            listed = self._run("list nftables tables", [{"list": {"tables": None}}])
        except KernelError as fault:
            if fault.errno in _NO_NFTABLES:
                return ()
            raise
        tables = [f"{t['family']} {t['name']}" for each in listed for t in [each.get("table")] if t]
        return tuple(sorted(name for name in tables if name not in ours))

    def dropping_chains(self) -> tuple[str, ...]:
        """Return the chains that drop what they do not accept, such as `inet filter input`.

        Raises:
            KernelError: they cannot be read.
        """
        try:
            listed = self._run("list nftables chains", [{"list": {"chains": None}}])
        except KernelError as fault:
            if fault.errno in _NO_NFTABLES:
                return ()
            raise
        chains = [chain for each in listed for chain in [each.get("chain")] if chain]
        return tuple(
            f"{chain['family']} {chain['table']} {chain['name']}"
            for chain in chains
            if chain.get("policy") == "drop"
        )

    def ruleset(self) -> list[Command]:
        """Return every object of every table; none on a kernel without nftables.

        Raises:
            KernelError: they cannot be read.
        """
        try:
            return self._run("list nftables ruleset", [{"list": {"ruleset": None}}])
        except KernelError as fault:
            if fault.errno in _NO_NFTABLES:
                return []
            raise

    def check(self, table: NftTable) -> None:
        """Let the kernel check the transaction that `replace` would run, without committing it.

        Raises:
            KernelError: it would be refused; the message says why.
        """
        handle = getattr(self._context, _CONTEXT_FIELD)
        self._set_dry_run(handle, True)
        try:
            self._run("check nftables table", replacement(table), table.title)
        finally:
            self._set_dry_run(handle, False)

    def replace(self, table: NftTable) -> None:
        """Replace our table in one transaction; an empty one is deleted.

        Raises:
            KernelError: the kernel refuses it, and the old table stays.
        """
        self._run("replace nftables table", replacement(table), table.title)

    def _run(self, operation: str, commands: Sequence[Command], target: str = TARGET) -> list[Command]:
        document = {"nftables": [{"metainfo": {"json_schema_version": 1}}, *commands]}
        status, output, said = self._context.cmd(json.dumps(document))
        if status:
            raise _refused(operation, said, target)
        return list(json.loads(output)["nftables"]) if output else []


def _refused(operation: str, said: str, target: str) -> KernelError:
    text = _first_line(said)
    number = next((number for words, number in _ERRNO_BY_WORDS.items() if words in said), 0)
    if number == 0:
        return KernelError(operation, target, 0, f"cannot {operation}: {text}", NFT_MODULES)
    return error(operation, target, number, text, NftTables.rows[ReplaceTable].errors)


def _first_line(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line), "no reason given")
