"""The record of a real server as JSON that a person can read."""

from __future__ import annotations

import json
from typing import Any, Final

from kernelbal.kernel.record_codec import as_number, as_switch, as_text, decode
from kernelbal.model.address import Address, format_address, parse_address
from kernelbal.model.ipvs import TunnelType
from kernelbal.model.network import AddressKey, GueListener
from kernelbal.realserver.preparation import MAX_PORT, Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.setup import Record

SCHEMA: Final = 1

Document = dict[str, Any]


def encode_record(record: Record) -> str:
    """Return the record as text; equal records give equal text."""
    document = {
        "schema": SCHEMA,
        "preparations": [preparation_document(each) for each in record.preparations],
        "sysctls": dict(sorted(record.sysctls.items())),
        "links": sorted(record.links),
        "addresses": [
            [key.device, format_address(key.address), key.prefix] for key in sorted(record.addresses)
        ],
        "listeners": [list(each) for each in sorted(record.listeners)],
        "files": dict(sorted(record.files.items())),
        "tables": sorted(record.tables),
        "persist": record.persist,
    }
    return json.dumps(document, indent=1) + "\n"


def preparation_document(each: Preparation) -> Document:
    """Return a preparation as plain data."""
    tunnel = {"type": each.tunnel.kind.name.lower(), "port": each.tunnel.port} if each.tunnel else None
    return {
        "address": format_address(each.virtual),
        "method": each.method.value,
        "forwarding": each.forwarding,
        "tunnel": tunnel,
        "real": format_address(each.real),
        "own": format_address(each.own) if each.own is not None else None,
        "interfaces": list(each.interfaces),
        "ports": [list(port) for port in each.ports],
        "mtu_bytes": each.mtu_bytes,
        "at_boot": each.at_boot,
    }


def decode_record(text: str) -> Record:
    """Return the record.

    Raises:
        Malformed: the text is damaged or of another layout.
    """
    return decode(text, SCHEMA, _record)


def _record(document: Document) -> Record:
    return Record(
        preparations=tuple(_preparation(each) for each in document["preparations"]),
        sysctls={as_text(path): as_text(value) for path, value in document["sysctls"].items()},
        links=frozenset(map(as_text, document["links"])),
        addresses=frozenset(
            AddressKey(as_text(device), _address(address), as_number(prefix))
            for device, address, prefix in document["addresses"]
        ),
        listeners=frozenset(
            GueListener(_port(port), as_number(family)) for port, family in document["listeners"]
        ),
        files={
            as_text(path): None if text is None else as_text(text) for path, text in document["files"].items()
        },
        tables=frozenset(map(as_text, document["tables"])),
        persist=as_text(document["persist"]),
    )


def _preparation(document: Document) -> Preparation:
    tunnel = document["tunnel"]
    return Preparation(
        virtual=_address(document["address"]),
        real=_address(document["real"]),
        interfaces=tuple(map(as_text, document["interfaces"])),
        method=Method(document["method"]),
        tunnel=None if tunnel is None else _encapsulation(tunnel),
        own=None if document["own"] is None else _address(document["own"]),
        ports=tuple(
            PortMap(as_number(protocol), _port(port), _port(to_port))
            for protocol, port, to_port in document["ports"]
        ),
        mtu_bytes=as_number(document["mtu_bytes"]),
        at_boot=as_switch(document["at_boot"]),
    )


def _encapsulation(document: Document) -> Encapsulation:
    port = document["port"]
    return Encapsulation(TunnelType[as_text(document["type"]).upper()], _port(port) if port != 0 else 0)


def _port(value: object) -> int:
    number = as_number(value)
    if not 1 <= number <= MAX_PORT:
        raise ValueError(f"{number} is no port")
    return number


def _address(value: object) -> Address:
    return parse_address(as_text(value))
