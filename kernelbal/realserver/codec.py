"""The record of a real server as JSON that a person can read."""

from __future__ import annotations

import json
from typing import Any, Final

from kernelbal.kernel.state_codec import Malformed
from kernelbal.model.address import Address, format_address, parse_address
from kernelbal.model.ipvs import TunnelType
from kernelbal.model.network import AddressKey, GueListener
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
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
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or "schema" not in document:
            raise Malformed("it is not a file of kernelbal")
        if document["schema"] != SCHEMA:
            raise Malformed(f"its layout has number {document['schema']}, this version knows {SCHEMA}")
        return _record(document)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Malformed(f"it is damaged: {error}") from error


def _record(document: Document) -> Record:
    return Record(
        preparations=tuple(_preparation(each) for each in document["preparations"]),
        sysctls={_text(path): _text(value) for path, value in document["sysctls"].items()},
        links=frozenset(map(_text, document["links"])),
        addresses=frozenset(
            AddressKey(_text(device), _address(address), _number(prefix))
            for device, address, prefix in document["addresses"]
        ),
        listeners=frozenset(
            GueListener(_number(port), _number(family)) for port, family in document["listeners"]
        ),
        files={
            _text(path): None if text is None else _text(text) for path, text in document["files"].items()
        },
        tables=frozenset(map(_text, document["tables"])),
        persist=_text(document["persist"]),
    )


def _preparation(document: Document) -> Preparation:
    tunnel = document["tunnel"]
    return Preparation(
        virtual=_address(document["address"]),
        real=_address(document["real"]),
        interfaces=tuple(map(_text, document["interfaces"])),
        method=Method(document["method"]),
        tunnel=Encapsulation(TunnelType[tunnel["type"].upper()], _number(tunnel["port"])) if tunnel else None,
        own=None if document["own"] is None else _address(document["own"]),
        ports=tuple(PortMap(*map(_number, port)) for port in document["ports"]),
        mtu_bytes=_number(document["mtu_bytes"]),
        at_boot=_switch(document["at_boot"]),
    )


def _address(value: object) -> Address:
    return parse_address(_text(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number")
    return value
