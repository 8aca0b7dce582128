"""The sockets that the API listens on: rights of the file, TLS."""

import asyncio
import hashlib
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kernelbal.errors import ApiFailed
from kernelbal.model.choices import Right
from kernelbal.model.node import ApiSettings, ApiTls, ClientCertificate, Token
from kernelbal.runtime.api.access import GroupRights
from kernelbal.runtime.api.listen import tls_context, unix_socket
from kernelbal.runtime.api.server import ApiServer
from tests.support.fake_control import FakeControl


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(("openssl", *words), cwd=folder, check=True, capture_output=True, timeout=60)


def authority(folder: Path) -> None:
    openssl(folder, *["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
            *["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2"])  # fmt: skip


def certificate(folder: Path, name: str, serial: int) -> None:
    openssl(folder, *["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
            *f"-keyout {name}.key -out {name}.csr -subj /CN={name}".split())  # fmt: skip
    openssl(folder, *f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -out {name}.pem".split(),
            *f"-set_serial {serial} -days 2".split())  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls")
    authority(made)
    for serial, name in enumerate(("server", "ci", "eve"), 1):
        certificate(made, name, serial)
    return made


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def settings(folder: Path, port: int) -> ApiTls:
    return ApiTls(
        address=b"\x7f\0\0\1",
        port=port,
        certificate=str(folder / "server.pem"),
        key=str(folder / "server.key"),
        client_ca=str(folder / "ca.pem"),
        clients=(ClientCertificate(common_name="ci", right=Right.CHANGE),),
        tokens=(Token(name="graphs", sha256=hashlib.sha256(b"s3cret").hexdigest()),),
    )


def client_context(folder: Path, name: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.check_hostname = False
    if name:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


@pytest.mark.parametrize(
    ("name", "token", "read", "change"),
    [
        ("", "", 401, 401),
        ("", "s3cret", 200, 403),
        ("", "wrong", 401, 401),
        ("ci", "", 200, 200),
        ("eve", "", 403, 403),
    ],
)
def test_by_tls_nobody_is_anonymous(
    folder: Path, tmp_path: Path, name: str, token: str, read: int, change: int
) -> None:
    async def main() -> tuple[int, int, Any]:
        port, control = free_port(), FakeControl()
        api = ApiServer(control, ApiSettings(socket=str(tmp_path / "s"), tls=settings(folder, port)))
        await api.start()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connector = aiohttp.TCPConnector(ssl=client_context(folder, name))
        try:
            async with (
                aiohttp.ClientSession(
                    f"https://127.0.0.1:{port}", connector=connector, headers=headers
                ) as session,
                session.get("/v1/status") as one,
                session.post("/v1/reload") as two,
            ):
                return one.status, two.status, control.reloads
        finally:
            await api.stop()

    got = asyncio.run(main())
    assert got[:2] == (read, change)
    assert got[2] == (["certificate ci"] if change == 200 else [])


async def presented(port: int, folder: Path) -> str:
    """Return the common name of the certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context(folder))
    subject = writer.get_extra_info("peercert")["subject"]
    writer.close()
    await writer.wait_closed()
    return str(dict(part[0] for part in subject)["commonName"])


def test_renewed_certificate_is_shown_after_a_reload_and_a_bad_one_is_not(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    port = free_port()
    tls = settings(folder, port).model_copy(
        update={"certificate": str(tmp_path / "server.pem"), "key": str(tmp_path / "server.key")}
    )

    async def main() -> list[str]:
        api = ApiServer(FakeControl(), ApiSettings(socket=str(tmp_path / "s"), tls=tls))
        await api.start()
        try:
            seen = [await presented(port, folder)]
            (tmp_path / "server.pem").write_bytes((folder / "ci.pem").read_bytes())
            (tmp_path / "server.key").write_bytes((folder / "ci.key").read_bytes())
            seen.append(await presented(port, folder))
            api.reload()
            seen.append(await presented(port, folder))
            (tmp_path / "server.pem").write_text("nonsense")
            api.reload()
            return [*seen, await presented(port, folder)]
        finally:
            await api.stop()

    assert asyncio.run(main()) == ["server", "server", "ci", "ci"]
    assert "the old certificates stay" in caplog.text


def test_tls_before_1_2_is_not_spoken(folder: Path) -> None:
    assert tls_context(settings(folder, 1)).minimum_version is ssl.TLSVersion.TLSv1_2


def test_bad_certificate_names_its_files(folder: Path, tmp_path: Path) -> None:
    bad = settings(folder, 1).model_copy(update={"certificate": str(tmp_path / "none.pem")})
    with pytest.raises(ApiFailed, match=r"none\.pem"):
        tls_context(bad)


def test_failed_start_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    bad = settings(folder, 1).model_copy(update={"key": str(tmp_path / "none.key")})
    with pytest.raises(ApiFailed):
        asyncio.run(ApiServer(FakeControl(), ApiSettings(socket=str(tmp_path / "s"), tls=bad)).start())
    assert not (tmp_path / "s").exists()


def test_unix_socket_without_groups_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "s"
    with unix_socket(path, GroupRights(frozenset(), frozenset())):
        assert path.stat().st_mode & 0o777 == 0o600


def test_unix_socket_with_groups_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with unix_socket(path, GroupRights(frozenset({4}), frozenset({5}))):
        assert path.stat().st_mode & 0o007 == 0
        assert path.stat().st_mode & 0o070 == 0o060
