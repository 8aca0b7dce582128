"""Who may do what."""

import hashlib
import socket
import struct

import pytest

from kernelbal.model.choices import Right
from kernelbal.model.node import ApiSettings, ApiTls, ClientCertificate, Token
from kernelbal.runtime.api.access import (
    NOBODY,
    Caller,
    GroupRights,
    Peer,
    caller_by_certificate,
    caller_by_peer,
    caller_by_token,
    group_rights,
    peer_of,
)

RIGHTS = GroupRights(frozenset({10}), frozenset({20}))
TLS = ApiTls(
    address=b"\x7f\0\0\1",
    certificate="/c",
    key="/k",
    clients=(
        ClientCertificate(common_name="grafana"),
        ClientCertificate(common_name="ci", right=Right.CHANGE),
    ),
    tokens=(Token(name="deploy", sha256=hashlib.sha256(b"s3cret").hexdigest(), right=Right.CHANGE),),
)


@pytest.mark.parametrize(
    ("uid", "groups", "right"),
    [
        (0, {0}, Right.CHANGE),
        (700, {5}, Right.CHANGE),
        (1000, {5, 10}, Right.CHANGE),
        (1000, {5, 20}, Right.READ),
        (1000, {10, 20}, Right.CHANGE),
        (1000, {5}, None),
        (1000, set(), None),
        (4294967294, {5}, None),
    ],
)
def test_local_peer_by_user_and_groups(uid: int, groups: set[int], right: Right | None) -> None:
    assert caller_by_peer(Peer(1, uid, frozenset(groups)), RIGHTS, own_uid=700).right is right


def test_who_may_change_may_read() -> None:
    assert Caller("a", Right.CHANGE).may(Right.READ)
    assert Caller("a", Right.READ).may(Right.READ)
    assert not Caller("a", Right.READ).may(Right.CHANGE)
    assert not Caller("a", None).may(Right.READ)


def test_groups_are_looked_up_by_name() -> None:
    rights, missing = group_rights(ApiSettings(change_groups=("root",), read_groups=("no-such-group",)))
    assert (rights, missing) == (GroupRights(frozenset({0}), frozenset()), ["no-such-group"])


def test_supplementary_groups_come_from_the_kernel() -> None:
    class Sock:
        def getsockopt(self, _: int, option: int, size: int) -> bytes:
            if option == socket.SO_PEERCRED:
                return struct.pack("=iII", 7, 1000, 100)
            if size < 12:
                raise OSError(34, "ERANGE")
            return struct.pack("=3I", 4, 27, 4_000_000_000)

    peer = peer_of(Sock())  # type: ignore[arg-type] - the two calls of a socket that are made
    assert peer == Peer(7, 1000, frozenset({100, 4, 27, 4_000_000_000}))


@pytest.mark.parametrize(
    ("header", "caller"),
    [
        ("Bearer s3cret", Caller("token deploy", Right.CHANGE)),
        ("bearer  s3cret ", Caller("token deploy", Right.CHANGE)),
        ("Bearer s3cre", NOBODY),
        ("Bearer ", NOBODY),
        ("Bearer", NOBODY),
        ("Basic s3cret", NOBODY),
        ("", NOBODY),
        ("Bearer \udcff", NOBODY),
    ],
)
def test_token(header: str, caller: Caller) -> None:
    assert caller_by_token(header, TLS) == caller


@pytest.mark.parametrize(
    ("names", "caller"),
    [
        (["grafana"], Caller("certificate grafana", Right.READ)),
        (["ci"], Caller("certificate ci", Right.CHANGE)),
        (["eve"], Caller("certificate eve", None)),
        (["eve", "ci"], Caller("certificate eve", None)),
        ([], NOBODY),
    ],
)
def test_certificate(names: list[str], caller: Caller) -> None:
    subject = ((("organizationName", "ci"),), *((("commonName", name),) for name in names))
    assert caller_by_certificate({"subject": subject}, TLS) == caller


def test_no_certificate_is_nobody() -> None:
    assert caller_by_certificate(None, TLS) == NOBODY
    assert caller_by_certificate({}, TLS) == NOBODY
