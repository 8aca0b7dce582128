"""What `kernelbal ha radar` heard, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from kernelbal.cli.output import put, put_json
from kernelbal.cli.table import print_table
from kernelbal.kernel.hardware_vendor import vendor_of
from kernelbal.model.address import AF_INET, AF_INET6, format_address
from kernelbal.vrrp.radar import HeardRouter, Radar, RouterKey, free_ids

_HEADER: Final = ("protocol", "ID", "router", "priority", "interval", "addresses", "MAC", "remark", "vendor")
_FAMILIES: Final = {AF_INET: "IPv4", AF_INET6: "IPv6"}
_MOST_ADDRESSES: Final = 3


def put_radars(radars: Mapping[str, Radar], *, as_json: bool) -> None:
    """Print what was heard, by device."""
    if as_json:
        put_json({"devices": {name: _document(radar) for name, radar in radars.items()}})
        return
    for name, radar in radars.items():
        rows = [_row(key, heard) for key, heard in sorted(radar.routers.items())]
        if rows:
            print_table(_HEADER, rows, f"{name}:")
        else:
            put(f"{name}: nobody speaks VRRP, CARP or HSRP")
        if radar.left_out:
            put(f"  {radar.left_out} messages of further routers")
        put(f"  free virtual ID: {', '.join(_proposals(radar))}")


def _proposals(radar: Radar) -> Iterator[str]:
    for family, name in _FAMILIES.items():
        free = free_ids(radar.routers, family)
        yield f"{free[0]} ({name})" if free else f"none ({name})"


def _row(key: RouterKey, heard: HeardRouter) -> tuple[str, ...]:
    shown = [format_address(each) for each in heard.addresses[:_MOST_ADDRESSES]]
    more = len(heard.addresses) - len(shown)
    return (
        f"{key.protocol}v{heard.version}",
        str(key.number),
        format_address(key.source),
        str(heard.priority),
        f"{heard.interval_ms / 1000:g}s",
        " ".join([*shown, *([f"+{more}"] if more else [])]) or "-",
        heard.hardware,
        _remark(heard),
        vendor_of(heard.hardware),
    )


def _remark(heard: HeardRouter) -> str:
    if heard.fault:
        return f"discarded by others: {heard.fault}"
    return f"checksum {heard.checksum}" if heard.checksum else "-"


def _document(radar: Radar) -> dict[str, Any]:
    return {
        "routers": [_router(key, heard) for key, heard in sorted(radar.routers.items())],
        "left_out": radar.left_out,
        "free_ids": {
            name.lower(): free_ids(radar.routers, family)[:10] for family, name in _FAMILIES.items()
        },
    }


def _router(key: RouterKey, heard: HeardRouter) -> dict[str, Any]:
    return {
        "protocol": key.protocol.value,
        "version": heard.version,
        "family": _FAMILIES[key.family].lower(),
        "id": key.number,
        "router": format_address(key.source),
        "mac": heard.hardware,
        "vendor": vendor_of(heard.hardware),
        "priority": heard.priority,
        "interval_ms": heard.interval_ms,
        "addresses": [format_address(each) for each in heard.addresses],
        "checksum_style": heard.checksum,
        "fault": heard.fault,
        "messages": heard.messages,
    }
