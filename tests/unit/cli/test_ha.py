"""`kernelbal ha decode`."""

import io
import json
from pathlib import Path

import pytest

from kernelbal.cli.app import run
from kernelbal.cli.capture import MAX_PACKET_BYTES
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.cli.ha import _REMARKS
from kernelbal.vrrp.causes import LIKELY
from kernelbal.vrrp.receive import PacketNote, Reason
from tests.support.captures import ethernet, interface_block, packet_block, pcap, section_block
from tests.support.vrrp_packets import ADVERT, KEY, NOW_S, advert_packet, ip_packet, signed_packet

CARP = ip_packet(bytes.fromhex("21070a0700010000") + bytes(28))
RECEIVER = {"vrid": 51, "local": "192.0.2.11", "addresses": ["192.0.2.100"]}
HMAC = {"type": "hmac", "keys": {"1": KEY.hex()}, "now_s": NOW_S}


def decode(
    capsys: pytest.CaptureFixture[str], packet: bytes, *options: str, receiver: Path | None = None
) -> dict[str, object]:
    more = ("--receiver", str(receiver)) if receiver else ()
    assert run(["ha", "decode", packet.hex(), "--json", *options, *more]) == ExitCode.OK
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


@pytest.fixture
def receiver(tmp_path: Path) -> Path:
    path = tmp_path / "receiver.json"
    path.write_text(json.dumps(RECEIVER))
    return path


def test_for_people(receiver: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packet = advert_packet(ADVERT._replace(vrid=52)).hex(":")
    assert run(["ha", "decode", packet, "--receiver", str(receiver)]) == ExitCode.OK
    assert capsys.readouterr().out.startswith(
        "ignore (vrid): virtual ID 52, expected 51\n"
        "  likely: another virtual router on the same segment, or the other family\n"
        "  from 192.0.2.10 to 224.0.0.18, TTL 255\n  version 3\n"
    )
    other = advert_packet(ADVERT._replace(addresses=(b"\xc0\0\2\7",)))  # type: ignore[arg-type]  # packed bytes
    assert run(["ha", "decode", f"0x{other.hex()}", "--receiver", str(receiver)]) == ExitCode.OK
    assert "addresses 192.0.2.7\n" in (said := capsys.readouterr().out)
    assert "note: its addresses differ" in said


def test_history_makes_a_replay(tmp_path: Path, receiver: Path, capsys: pytest.CaptureFixture[str]) -> None:
    receiver.write_text(json.dumps({**RECEIVER, "auth": HMAC}))
    history = tmp_path / "history"
    packet = signed_packet()
    history.write_text(f"\n{packet.hex()}\n")
    assert decode(capsys, packet, receiver=receiver)["verdict"] == "accept"
    replayed = decode(capsys, packet, "--history", str(history), receiver=receiver)
    assert (replayed["verdict"], replayed["reason"]) == ("reject", "replay")


OTHER = ip_packet(b"data", protocol=6)
AH = ip_packet(bytes([6, 4, *bytes(30)]), protocol=51)


@pytest.fixture
def capture(tmp_path: Path) -> str:
    packets = [advert_packet(), OTHER, advert_packet(ttl=254), OTHER[:22], advert_packet()[:-1], AH, CARP]
    path = tmp_path / "vrrp.pcap"
    path.write_bytes(pcap([*map(ethernet, packets), ethernet(b"", b"\x08\x06")])[:-4])
    return str(path)


def test_capture_for_people(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ha", "decode", capture]) == ExitCode.OK
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["packet", "UTC", "router"]
    assert [line.split() for line in lines[:4]] == [
        ["1", "00:16:40", "192.0.2.10", "3", "51", "100", "1s", "192.0.2.100", "accept", "-"],
        ["3", "00:16:42", "192.0.2.10", "3", "51", "100", "1s", "192.0.2.100", "reject", "ttl"],
        ["5", "00:16:44", "-", "-", "-", "-", "-", "-", "reject", "length"],
        ["7", "00:16:46", "192.0.2.10", "CARP", "7", "-", "-", "-", "-", "ignore", "not_vrrp"],
    ]
    assert lines[4:6] == [
        "TTL 254, expected 255: it passed a router: 1 (packet 3)",
        f"  likely: {LIKELY[Reason.TTL]}",
    ]
    assert lines[-2:] == ["3 packets of other protocols", "the capture ends within a packet"]


def test_capture_as_json(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ha", "decode", capture, "--json"]) == ExitCode.OK
    document = json.loads(capsys.readouterr().out)
    assert (document["others"], document["cut_short"]) == (3, True)
    assert [(each["number"], each["utc_s"], each["reason"]) for each in document["packets"]] == [
        (1, 1000, None), (3, 1002, "ttl"), (5, 1004, "length"), (7, 1006, "not_vrrp"),
    ]  # fmt: skip


def test_packets_of_a_capture_are_judged_in_their_order_and_at_their_time(
    tmp_path: Path, receiver: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.write_text(json.dumps({**RECEIVER, "auth": {**HMAC, "now_s": 0}}))
    path = tmp_path / "vrrp.pcap"
    signed, later = signed_packet(1000 << 32), signed_packet(1001 << 32)
    path.write_bytes(pcap([signed, later, signed, *[advert_packet()] * 5, signed], 101))
    assert run(["ha", "decode", str(path), "--json", "--receiver", str(receiver)]) == ExitCode.OK
    reasons = [each["reason"] for each in json.loads(capsys.readouterr().out)["packets"]]
    assert reasons == [None, None, "replay", *["auth"] * 5, "stale"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    typed = f"{advert_packet().hex()}\n{OTHER.hex()}\n45\n".encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed)))
    assert run(["ha", "decode", "-", "--json"]) == ExitCode.OK
    document = json.loads(capsys.readouterr().out)
    assert [each["reason"] for each in document["packets"]] == [None, "not_vrrp", "length"]
    assert [each["utc_s"] for each in document["packets"]] == [None] * 3


def test_capture_without_vrrp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other.pcap"
    path.write_bytes(pcap([ethernet(OTHER)] * 2))
    assert run(["ha", "decode", str(path)]) == ExitCode.OK
    assert capsys.readouterr().out == "there is no packet of VRRP or CARP\n2 packets of other protocols\n"


def test_time_of_a_capture_may_be_nonsense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "vrrp.pcapng"
    late = packet_block(advert_packet(), (1 << 64) - 1, ticks_per_s=1)
    path.write_bytes(section_block() + interface_block(101, resolution=0) + late)
    assert run(["ha", "decode", str(path)]) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[1].split()[1] == "-"


def test_many_packets_share_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "vrrp.pcap"
    path.write_bytes(pcap([advert_packet(ttl=254)] * 12, 101))
    assert run(["ha", "decode", str(path)]) == ExitCode.OK
    assert "router: 12 (packet 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...)\n" in capsys.readouterr().out


def test_no_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "vrrp.pcap"
    path.write_text("nonsense")
    assert run(["ha", "decode", str(path)]) == ExitCode.USAGE
    assert f"{path}: line 1: neither pcap" in capsys.readouterr().err


@pytest.mark.parametrize("option", [(), ("45", "--history"), ("45", "--receiver")])
def test_large_files_are_refused(
    option: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("kernelbal.cli.ha.MAX_FILE_BYTES", 20)
    path = tmp_path / "large"
    path.write_bytes(b"45\n" * 7)
    assert run(["ha", "decode", *option, str(path)]) == ExitCode.USAGE
    assert f"{path}: larger than" in capsys.readouterr().err
    if not option:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(bytes(21))))
        assert run(["ha", "decode", "-"]) == ExitCode.USAGE
        assert "standard input: larger than" in capsys.readouterr().err


def test_every_remark_has_words() -> None:
    assert set(_REMARKS) == set(PacketNote)


@pytest.mark.parametrize("hexed", ["", "4", "45zz", "4 5 6", "00" * (MAX_PACKET_BYTES + 1)])
def test_no_hex(hexed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ha", "decode", hexed]) == ExitCode.USAGE
    assert "HEX: expected two hex digits for each octet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"), [('{"vrid": 0}', "$.vrid"), ('{"family": 6}', "$.local"), ("nonsense", "malformed")]
)
def test_invalid_receiver(text: str, said: str, receiver: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = {**RECEIVER, **json.loads(text)} if text.startswith("{") else None
    receiver.write_text(json.dumps(written) if written else text)
    assert run(["ha", "decode", "45", "--receiver", str(receiver)]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert f"{receiver}: " in error
    assert said in error


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "missing")
    for option in ("--receiver", "--history"):
        assert run(["ha", "decode", "45", option, missing]) == ExitCode.NO_INPUT
        assert f"cannot read {missing}" in capsys.readouterr().err


def test_directory_is_no_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ha", "decode", str(tmp_path)]) == ExitCode.NO_INPUT
    assert f"cannot read {tmp_path}: Is a directory" in capsys.readouterr().err


def test_broken_line_of_the_history_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = tmp_path / "history"
    history.write_text("45\nxx\n")
    assert run(["ha", "decode", "45", "--history", str(history)]) == ExitCode.USAGE
    assert f"{history}:2: " in capsys.readouterr().err
