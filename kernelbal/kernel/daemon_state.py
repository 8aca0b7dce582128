"""The daemon's files in the state directory: orders, standings, and the last good documents."""

from __future__ import annotations

from typing import Final, NamedTuple

from kernelbal.kernel.daemon_codec import (
    Standings,
    decode_orders,
    decode_standings,
    encode_orders,
    encode_standings,
)
from kernelbal.kernel.state import STANDINGS_FILE, StateDirectory
from kernelbal.model.standing import OperatorKey, Order, Orders

ORDERS_FILE: Final = "orders.json"
GOOD_SITE_FILE: Final = "site.good.yaml"
GOOD_NODE_FILE: Final = "node.good.yaml"


class GoodDocuments(NamedTuple):
    """The documents that were in force last, as they were written."""

    site: bytes
    node: bytes


class DaemonState(StateDirectory):
    """A state directory with what the daemon keeps in it."""

    def load_orders(self) -> dict[OperatorKey, Order]:
        """Return the orders in force; none when there is no record.

        Raises:
            StateError: the record cannot be read, or is damaged.
        """
        without = "then nobody is drained or disabled any more, and those orders are to be given again"
        return self._read(ORDERS_FILE, decode_orders, "operators' orders", without) or {}

    def save_orders(self, orders: Orders) -> None:
        """Replace the orders; on return they have reached the disk.

        Raises:
            StateError: they cannot be written; then the old ones stay.
        """
        self._write(ORDERS_FILE, encode_orders(orders))

    def load_standings(self) -> Standings:
        """Return how everything stood in this boot; empty when there is no record of it.

        Raises:
            StateError: the record cannot be read, or is damaged.
        """
        found = self._read(STANDINGS_FILE, decode_standings, "the states of probes")
        this_boot = self._boot()
        return found if found is not None and found.boot_id == this_boot else Standings(this_boot)

    def save_standings(self, standings: Standings) -> None:
        """Replace the standings.

        Raises:
            StateError: they cannot be written; then the old ones stay.
        """
        self._write(
            STANDINGS_FILE,
            encode_standings(Standings(self._boot(), standings.states, standings.memory)),
        )

    def load_good(self) -> GoodDocuments | None:
        """Return the last documents that were in force; None when there are none.

        Raises:
            StateError: they cannot be read.
        """
        site = self._read(GOOD_SITE_FILE, str.encode, "a copy of the site document")
        node = self._read(GOOD_NODE_FILE, str.encode, "a copy of the node document")
        return None if site is None or node is None else GoodDocuments(site, node)

    def save_good(self, documents: GoodDocuments) -> None:
        """Keep the documents that are in force; on return they have reached the disk.

        Raises:
            StateError: they cannot be written; then the old ones stay.
        """
        self._write(GOOD_SITE_FILE, documents.site.decode())
        self._write(GOOD_NODE_FILE, documents.node.decode())
