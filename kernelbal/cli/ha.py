"""`kernelbal ha`: two directors with one address."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from kernelbal.cli.capture import MAX_PACKET_BYTES, Capture, CaptureError, octets_of, read_capture
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.errors import FileUnreadable, InvalidRequest

if TYPE_CHECKING:
    from kernelbal.vrrp.document import DecodedPacket, ReceiverDocument
    from kernelbal.vrrp.receive import Judgement, Senders, VirtualRouter

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
STANDARD_INPUT: Final = "-"

DECODE_EPILOG = """Examples:

kernelbal ha decode 4500002000000000ff70994bc000020ae0000012313364010064a802c0000264

kernelbal ha decode "$HEX" --receiver director.json --json

kernelbal ha decode vrrp.pcap --receiver director.json

with director.json such as {"vrid": 51, "local": "192.0.2.11", "addresses": ["192.0.2.100"]}

A receiver has `vrid`, `local` and `addresses`, and may have `version`, `family`, `priority`, `interval_cs`,
`mode` (multicast, unicast), `peers`, `min_ttl`, `checksum` (auto, rfc9568, rfc5798) and `auth` (`type` none,
simple, hmac; `password`; `keys`, `window_s`, `mode` receive-only, permissive, enforce, `now_s`)."""

RADAR_EPILOG = """Examples:

kernelbal ha radar

kernelbal ha radar --interface eth0 --interface eth1 --for 30s --json"""

INTERFACE_OPTION = typer.Option(
    [],
    "--interface",
    help="Listen here alone; may be repeated. By default on all Ethernet devices that are up.",
)
RECEIVER_OPTION = typer.Option(
    None, "--receiver", help="JSON file: the virtual router that receives it.", readable=False
)
HISTORY_OPTION = typer.Option(
    None, "--history", help="File of packets that were received before, one a line, in hex.", readable=False
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Share addresses between two directors."""


@app.command(epilog=DECODE_EPILOG)
def decode(
    packet: str = typer.Argument(
        metavar="HEX|FILE|-",
        help="The whole IP packet in hex, as captured; the padding of the link may follow. Or a file of "
        "packets, or standard input: pcap, pcapng, hex with one packet a line, or what `tcpdump -x` prints.",
    ),
    receiver: Path | None = RECEIVER_OPTION,
    history: Path | None = HISTORY_OPTION,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Judge VRRP packets, and say what is wrong with them.

    Without --receiver, what holds for every virtual router is checked. CARP is recognized. Of a capture the
    packets are judged in their order, at the time that it says unless the receiver's file has `now_s`; what
    is neither VRRP nor CARP is only counted.
    """
    from kernelbal.cli.ha_view import put_decoded
    from kernelbal.cli.output import put, put_document
    from kernelbal.vrrp.document import decoded, receiver_of
    from kernelbal.vrrp.receive import Senders, judge

    document = _receiver(receiver) if receiver else None
    try:
        judged_for = receiver_of(document) if document else None
    except ValueError as error:
        raise InvalidRequest(f"{receiver}: {error}", "`kernelbal ha decode --help` has an example") from error
    now_s = document.auth.now_s if document else 0
    senders = Senders()
    for number, line in enumerate(_read(history).splitlines() if history else (), start=1):
        if line.strip():
            judge(_octets(line.decode("ascii", "replace"), f"{history}:{number}"), judged_for, senders, now_s)
    if (octets := octets_of(packet)) is None and _is_source(packet):
        capture = _capture(packet)
        put_decoded(list(_judged(capture, judged_for, senders, now_s)), capture, as_json=as_json)
        return ExitCode.OK
    answer = decoded(judge(octets or _octets(packet, "HEX"), judged_for, senders, now_s))
    if as_json:
        put_document(answer)
    else:
        put("\n".join(_lines(answer)))
    return ExitCode.OK


@app.command(epilog=RADAR_EPILOG)
def radar(
    interface: list[str] = INTERFACE_OPTION,
    duration: str = typer.Option("5s", "--for", help="How long to listen, such as 5s or 2m."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> int:
    """Show who shares addresses on the segments of this machine: VRRP, CARP and HSRP.

    Lists the virtual IDs in use with their routers, and proposes one that is free. Nothing is sent but the
    membership of their multicast groups. An advertisement every few seconds needs to be waited for.
    """
    from kernelbal.cli.ha_view import put_radars
    from kernelbal.cli.output import say
    from kernelbal.kernel.links import read_link_details
    from kernelbal.kernel.radar import listen
    from kernelbal.kernel.rtnetlink import RtNetlink

    duration_s = _seconds(duration)
    with RtNetlink.open() as rtnetlink:
        devices = [each for each in read_link_details(rtnetlink) if each.announces]
    known = {each.link.name for each in devices}
    missing = [name for name in interface if name not in known]
    if missing:
        raise InvalidRequest(
            f"`{missing[0]}` is no Ethernet device that is up", f"take one of: {', '.join(sorted(known))}"
        )
    chosen = [each for each in devices if not interface or each.link.name in interface]
    if not chosen:
        raise InvalidRequest("there is no Ethernet device that is up", "ip link set DEVICE up")
    if not as_json:
        say(f"listening for {duration_s:g}s on {', '.join(each.link.name for each in chosen)}")
    put_radars(listen(chosen, duration_s), as_json=as_json)
    return ExitCode.OK


def _seconds(text: str) -> float:
    from kernelbal.model.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--for") from error


def _octets(text: str, place: str) -> bytes:
    """Return what hex digits stand for.

    Raises:
        InvalidRequest: they are none; the message names the place.
    """
    octets = octets_of(text)
    if octets is None:
        raise InvalidRequest(
            f"{place}: expected two hex digits for each octet, {MAX_PACKET_BYTES} octets at most",
            "give the IP packet from its first octet, 45... or 6..., or a file that exists",
        )
    return octets


def _is_source(text: str) -> bool:
    return text == STANDARD_INPUT or os.path.exists(text)


def _capture(source: str) -> Capture:
    name = "standard input" if source == STANDARD_INPUT else source
    data = (
        _bounded(sys.stdin.buffer.read(MAX_FILE_BYTES + 1), name) if name != source else _read(Path(source))
    )
    try:
        return read_capture(data)
    except CaptureError as error:
        raise InvalidRequest(
            f"{name}: {error}", "tcpdump -s 0 -w FILE 'ip proto 112 or ip6 proto 112' writes one"
        ) from error


def _judged(
    capture: Capture, receiver: VirtualRouter | None, senders: Senders, now_s: int
) -> Iterator[tuple[int, DecodedPacket]]:
    """Yield what becomes of the packets of a capture, each with its number from 0 on."""
    from kernelbal.vrrp.document import decoded
    from kernelbal.vrrp.receive import judge

    for number, packet in enumerate(capture.packets):
        judged = judge(packet.octets, receiver, senders, now_s or packet.at_s or 0)
        if capture.is_text or _is_about_sharing(packet.octets, judged):
            yield number, decoded(judged)


def _is_about_sharing(octets: bytes, judged: Judgement) -> bool:
    """Whether a packet is of VRRP or CARP, or is cut short and says that it is."""
    from kernelbal.vrrp.ip import IPPROTO_VRRP
    from kernelbal.vrrp.receive import Reason

    if judged.packet is None:
        at = 9 if octets[:1] < b"\x50" else 6
        return octets[at : at + 1] == bytes([IPPROTO_VRRP])
    return judged.carp is not None or judged.reason is not Reason.NOT_VRRP


def _receiver(path: Path) -> ReceiverDocument:
    from kernelbal.store.codec import Codec, Malformed
    from kernelbal.vrrp.document import ReceiverDocument

    try:
        return Codec(ReceiverDocument).decode(_read(path))
    except Malformed as error:
        raise InvalidRequest(f"{path}: {error}", "`kernelbal ha decode --help` has an example") from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise FileUnreadable(f"cannot read {path}: {error.strerror}", "name a file") from error
    return _bounded(data, str(path))


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > MAX_FILE_BYTES:
        raise InvalidRequest(
            f"{name}: larger than {MAX_FILE_BYTES >> 20} MiB",
            "tcpdump -r FILE -w SMALLER 'ip proto 112 or ip6 proto 112' leaves VRRP alone",
        )
    return data


def _lines(answer: DecodedPacket) -> list[str]:
    """Return a packet for people."""
    from msgspec import to_builtins

    why = f" ({answer.reason}): {answer.text}" if answer.reason else ""
    lines = [f"{answer.verdict}{why}"]
    if answer.likely_cause:
        lines.append(f"  likely: {answer.likely_cause}")
    if answer.source:
        lines.append(f"  from {answer.source} to {answer.destination}, TTL {answer.ttl}")
    fields = to_builtins(answer.fields)
    lines += [f"  {name} {_shown(value)}" for name, value in fields.items()]
    return [*lines, *(f"  note: {_REMARKS[each]}" for each in answer.notes)]


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


_REMARKS: Final = {
    "addresses_differ": "its addresses differ from those of the receiver, which is no reason to drop it",
    "addresses_foreign": "none of its addresses is the receiver's: another virtual router with the same ID",
    "interval_differs": "its interval differs from the receiver's; version 3 adopts the active router's",
    "checksum_rfc5798": "its checksum has the pseudo-header of RFC 5798; RFC 9568 has none",
    "not_authenticated": "it has no HMAC, which this mode accepts",
    "trailer_not_verified": "it has an HMAC, for which the receiver has no key",
    "first_not_link_local": "its first address is not link-local, which RFC 9568 5.2.9 asks for",
}
