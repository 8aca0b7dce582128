"""What `kernelbal ha radar` heard, and what `ha decode` makes of captures, as text and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from kernelbal.cli.output import put, put_json
from kernelbal.cli.table import print_table
from kernelbal.kernel.hardware_vendor import vendor_of
from kernelbal.model.address import AF_INET, AF_INET6, format_address
from kernelbal.vrrp.radar import HeardRouter, Radar, RouterKey, free_ids

if TYPE_CHECKING:
    from kernelbal.cli.capture import Capture
    from kernelbal.vrrp.document import DecodedPacket

_HEADER: Final = ("protocol", "ID", "router", "priority", "interval", "addresses", "MAC", "remark", "vendor")
_DECODED_HEADER: Final = (
    *("packet", "UTC", "router", "version", "ID", "priority", "interval", "addresses"),
    *("verdict", "reason"),
)
_FAMILIES: Final = {AF_INET: "IPv4", AF_INET6: "IPv6"}
_MOST_ADDRESSES: Final = 3
_MOST_NUMBERS: Final = 10
_YEAR_10000_S: Final = 253_402_300_800


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


def put_decoded(packets: Sequence[tuple[int, DecodedPacket]], capture: Capture, *, as_json: bool) -> None:
    """Print what becomes of the packets of a capture.

    Args:
        packets: those that are of VRRP or CARP, by their places in the capture.
        capture: all of it.
        as_json: as one document.
    """
    others = capture.others + len(capture.packets) - len(packets)
    if as_json:
        put_json(
            {
                "packets": [_decoded_document(number, each, capture) for number, each in packets],
                "others": others,
                "cut_short": capture.is_cut_short,
            }
        )
        return
    if packets:
        print_table(_DECODED_HEADER, [_decoded_row(number, each, capture) for number, each in packets])
    else:
        put("there is no packet of VRRP or CARP")
    for line in _why_not(packets):
        put(line)
    if others:
        put(f"{others} packets of other protocols")
    if capture.is_cut_short:
        put("the capture ends within a packet")


def _decoded_document(number: int, packet: DecodedPacket, capture: Capture) -> dict[str, Any]:
    from msgspec import to_builtins

    return {"number": number + 1, "utc_s": capture.packets[number].at_s, **to_builtins(packet)}


def _decoded_row(number: int, packet: DecodedPacket, capture: Capture) -> tuple[str, ...]:
    from msgspec import to_builtins

    fields = to_builtins(packet.fields)
    interval_cs = fields.get("interval_cs")
    return (
        str(number + 1),
        _clock(capture.packets[number].at_s),
        packet.source or "-",
        f"CARP {fields['carp_vhid']}" if "carp_vhid" in fields else str(fields.get("version", "-")),
        str(fields.get("vrid", "-")),
        str(fields.get("priority", "-")),
        "-" if interval_cs is None else f"{interval_cs / 100:g}s",
        _some(fields.get("addresses", ())),
        packet.verdict,
        packet.reason or ", ".join(packet.notes) or "-",
    )


def _clock(at_s: int | None) -> str:
    if at_s is None or at_s >= _YEAR_10000_S:
        return "-"
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")


def _why_not(packets: Sequence[tuple[int, DecodedPacket]]) -> Iterator[str]:
    """Yield each text once, with the packets that it is about, and the likely cause."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, packet in packets:
        if packet.reason:
            found[packet.text, packet.likely_cause].append(number + 1)
    for (text, likely), numbers in found.items():
        shown = ", ".join(map(str, numbers[:_MOST_NUMBERS])) + (", ..." if numbers[_MOST_NUMBERS:] else "")
        yield f"{text}: {len(numbers)} (packet {shown})"
        yield f"  likely: {likely}"


def _proposals(radar: Radar) -> Iterator[str]:
    for family, name in _FAMILIES.items():
        free = free_ids(radar.routers, family)
        yield f"{free[0]} ({name})" if free else f"none ({name})"


def _row(key: RouterKey, heard: HeardRouter) -> tuple[str, ...]:
    return (
        f"{key.protocol}v{heard.version}",
        str(key.number),
        format_address(key.source),
        str(heard.priority),
        f"{heard.interval_ms / 1000:g}s",
        _some([format_address(each) for each in heard.addresses]),
        heard.hardware,
        _remark(heard),
        vendor_of(heard.hardware),
    )


def _some(addresses: Sequence[str]) -> str:
    more = len(addresses) - _MOST_ADDRESSES
    return " ".join([*addresses[:_MOST_ADDRESSES], *([f"+{more}"] if more > 0 else [])]) or "-"


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
