"""Records of layout 1, which the first builds wrote, in the form of today's.

Only places differ, and addresses, which were hexadecimal: values are checked by today's codec afterwards. The
states of probes (`standings.json`) are left out, since they are measured anew within seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from kernelbal.model.address import Address, format_address
from kernelbal.model.ipvs import TunnelType
from kernelbal.model.nft import NftTable
from kernelbal.store.codec import Malformed

LAYOUT: Final = 1

Row = list[Any]
Document = dict[str, Any]

_OWNS_NO_SERVICES: Final[Document] = {
    "boot_id": "",
    "services": {"keys": [], "drains": [], "drain_s": []},
    "timeouts": None,
}


def converted(name: str, data: bytes) -> bytes:
    """Return the record in a file of layout 1 as today's codec writes it.

    Args:
        name: of the file, one of `CONVERTERS`.
        data: its content.

    Raises:
        Malformed: it is damaged.
    """
    try:
        return msgspec.json.encode(CONVERTERS[name](msgspec.json.decode(data)))
    except KeyError as error:
        raise Malformed(f"Object missing required field `{error.args[0]}`") from error
    except (
        msgspec.MsgspecError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise Malformed(f"layout {LAYOUT}: {error}") from error


def _ownership(document: Document) -> Document:
    return {
        **_without(document, "schema", "drains", "drain_s"),
        "services": {
            "keys": _each(_service, document["services"]),
            "drains": [
                [[_service(service), _destination(server)], instants]
                for service, server, *instants in document["drains"]
            ],
            "drain_s": [[_service(key), drain_s] for key, drain_s in document.get("drain_s", [])],
        },
        "addresses": _each(_address, document["addresses"]),
        "listeners": [],
        "nftables_tables": [],
        "files": {},
    }


def _snapshot(document: Document) -> Document:
    table = NftTable(*document["nft"])
    state = {
        "services": {
            "table": _each(_virtual_server, document["services"]),
            "policies": [[_service(key), [*policy, []]] for key, *policy in document["policies"]],
        },
        "timeouts": document["timeouts"],
        "links": [[*link, None] for link in document["links"]],
        "listeners": [],
        "sysctls": _each(_sysctl, document["sysctls"]),
        "addresses": [[_address(key), attributes] for key, attributes in document["addresses"]],
        "nftables_tables": {} if table.empty else {table.title: table},
        "routing": {
            "rules": [
                [*rule[:3], _text(rule[3]), rule[4], _text(rule[5]), *rule[6:]] for rule in document["rules"]
            ],
            "routes": [
                [[table, _text(destination), prefix], [gateway and _text(gateway), device]]
                for table, destination, prefix, gateway, device in document["table_routes"]
            ],
        },
        "files": {},
    }
    return {
        "state": state,
        "deadline_at": document["deadline_at"],
        "boot_id": document["boot_id"],
        "adopted": _each(_service, document["adopted"]),
    }


def _orders(document: Document) -> Row:
    return [[[_text(address), service, port], order] for address, service, port, *order in document["orders"]]


def _real_server(document: Document) -> Document:
    tables = _each(_realserver_table, document["tables"])
    owned = _without(document, "schema", "preparations", "persist", "tables")
    return {
        "preparations": _each(_preparation, document["preparations"]),
        "owned": {**_OWNS_NO_SERVICES, **owned, "nftables_tables": tables},
        "persist": document["persist"],
    }


def _realserver_table(family: str) -> str:
    if family not in ("arp", "inet"):
        raise ValueError(f"there is no table of family {family!r}")
    return f"{family} kernelbal_realserver"


def _preparation(document: Document) -> Document:
    tunnel = document["tunnel"]
    return {
        **_without(document, "address", "forwarding"),
        "virtual": document["address"],
        "tunnel": tunnel and [TunnelType[tunnel["type"].upper()], tunnel["port"]],
    }


def _virtual_server(row: Row) -> Row:
    key, attributes, servers = row
    destinations = [[_destination(server[:2]), server[2:]] for server in servers]
    return [_service(key), {"attributes": attributes, "destinations": destinations}]


def _sysctl(row: Row) -> Row:
    """The last four parts came one by one."""
    lacking: Row = ["", "", [], ""]
    return row + lacking[len(row) - 4 :]


def _service(row: Row) -> Row:
    family, protocol, address, *rest = row
    return [family, protocol, _text(address), *rest]


def _destination(row: Row) -> Row:
    address, port = row
    return [_text(address), port]


def _address(row: Row) -> Row:
    device, address, prefix = row
    return [device, _text(address), prefix]


def _text(digits: str) -> str:
    """Return an address as text: of a mark's service, none."""
    return format_address(Address(bytes.fromhex(digits))) if digits else ""


def _each(convert: Callable[[Any], object], rows: Row) -> Row:
    return [convert(row) for row in rows]


def _without(document: Document, *names: str) -> Document:
    return {name: part for name, part in document.items() if name not in names}


CONVERTERS: Final[Mapping[str, Callable[[Document], object]]] = {
    "owned.json": _ownership,
    "snapshot.json": _snapshot,
    "orders.json": _orders,
    "record.json": _real_server,
}
"""What makes the record of a file today's."""
