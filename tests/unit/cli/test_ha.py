"""`kernelbal ha decode`."""

import json
from pathlib import Path

import pytest

from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.cli.ha import _REMARKS, MAX_PACKET_BYTES
from kernelbal.vrrp.receive import PacketNote
from tests.support.vrrp_packets import ADVERT, KEY, NOW_S, advert_packet, signed_packet

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


def test_broken_line_of_the_history_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = tmp_path / "history"
    history.write_text("45\nxx\n")
    assert run(["ha", "decode", "45", "--history", str(history)]) == ExitCode.USAGE
    assert f"{history}:2: " in capsys.readouterr().err
