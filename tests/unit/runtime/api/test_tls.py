"""The API by TLS: who is known, and what a reload changes, for open connections as well."""

import asyncio
import hashlib
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kernelbal.errors import ApiFailed
from kernelbal.model.choices import Right
from kernelbal.model.node import ApiSettings, ApiTls, ClientCertificate, Token
from kernelbal.runtime.api import listen
from kernelbal.runtime.api.server import ApiServer
from kernelbal.runtime.api.tls import is_named, read_credentials
from tests.support.fake_control import FakeControl

SOON_S = 1.0
"""A right that was revoked is gone within this."""


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
        client_ca=str(folder / "client-ca.pem"),
        clients=(ClientCertificate(common_name="ci", right=Right.CHANGE),),
        tokens=(Token(name="graphs", sha256=hashlib.sha256(b"s3cret").hexdigest()),),
    )


def client_context(folder: Path, name: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.check_hostname = False
    if name:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


@dataclass
class Served:
    """A server by TLS with files of its own, and what a client of it needs."""

    api: ApiServer
    settings: ApiSettings
    files: Path
    folder: Path

    async def ask(self, name: str = "", *, session: aiohttp.ClientSession | None = None, **more: Any) -> int:  # noqa: ANN401 - options of aiohttp
        own = session or self.client(name)
        try:
            async with own.get("/v1/live", **more) as answer:
                return answer.status
        finally:
            if own is not session:
                await own.close()

    def client(self, name: str = "", token: str = "") -> aiohttp.ClientSession:
        assert self.settings.tls is not None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connector = aiohttp.TCPConnector(ssl=client_context(self.folder, name))
        base = f"https://127.0.0.1:{self.settings.tls.port}"
        return aiohttp.ClientSession(base, connector=connector, headers=headers)

    async def reload(self, **changed: object) -> None:
        assert self.settings.tls is not None
        tls = self.settings.tls.model_copy(update=changed)
        self.settings = self.settings.model_copy(update={"tls": tls})
        await self.api.reload(self.settings)

    async def shown(self) -> str:
        """Return the common name of the certificate that a new connection is shown."""
        assert self.settings.tls is not None
        _, writer = await asyncio.open_connection(
            "127.0.0.1", self.settings.tls.port, ssl=client_context(self.folder)
        )
        subject = writer.get_extra_info("peercert")["subject"]
        writer.close()
        await writer.wait_closed()
        return str(dict(part[0] for part in subject)["commonName"])


Scene = Callable[[Served], Awaitable[None]]


@pytest.fixture
def play(folder: Path, tmp_path: Path) -> Callable[[Scene], None]:
    """Run a scene with a server that has copies of the files."""
    for source, target in (("server.pem",) * 2, ("server.key",) * 2, ("ca.pem", "client-ca.pem")):
        (tmp_path / target).write_bytes((folder / source).read_bytes())

    async def main(scene: Scene) -> None:
        chosen = ApiSettings(socket=str(tmp_path / "s"), tls=settings(tmp_path, free_port()))
        served = Served(ApiServer(FakeControl(), chosen), chosen, tmp_path, folder)
        await served.api.start()
        try:
            await scene(served)
        finally:
            await served.api.stop()

    return lambda scene: asyncio.run(asyncio.wait_for(main(scene), 30))


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
    play: Callable[[Scene], None], name: str, token: str, read: int, change: int
) -> None:
    async def scene(served: Served) -> None:
        async with (
            served.client(name, token) as session,
            session.get("/v1/status") as one,
            session.post("/v1/reload") as two,
        ):
            assert (one.status, two.status) == (read, change)

    play(scene)


def test_renewed_certificate_is_shown_after_a_reload_and_a_bad_one_is_not(
    play: Callable[[Scene], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(served: Served) -> None:
        assert await served.shown() == "server"
        for suffix in (".pem", ".key"):
            (served.files / f"server{suffix}").write_bytes((served.folder / f"ci{suffix}").read_bytes())
        assert await served.shown() == "server"
        await served.reload()
        assert await served.shown() == "ci"
        (served.files / "server.pem").write_text("nonsense")
        await served.reload()
        assert await served.shown() == "ci"

    play(scene)
    assert "what was in force stays" in caplog.text


async def ended(answer: aiohttp.ClientResponse) -> None:
    """Wait until a stream has ended, or is cut."""
    try:
        await asyncio.wait_for(answer.content.read(), SOON_S)
    except aiohttp.ClientError:
        return


def test_client_ca_that_was_replaced_is_trusted_no_more(play: Callable[[Scene], None]) -> None:
    async def scene(served: Served) -> None:
        async with (
            served.client("ci") as idle,
            served.client("ci") as follower,
            follower.get("/v1/events?follow=1") as stream,
        ):
            assert await served.ask(session=idle) == 200
            other = served.files / "other"
            other.mkdir()
            authority(other)
            (served.files / "client-ca.pem").write_bytes((other / "ca.pem").read_bytes())
            assert await served.ask(session=idle) == 200
            await served.reload()
            await ended(stream)
            for session in (idle, None):
                with pytest.raises(aiohttp.ClientError):
                    await served.ask("ci", session=session)
            async with served.client(token="s3cret") as known:
                assert await served.ask(session=known) == 200

    play(scene)


def test_token_that_was_revoked_is_refused_on_its_open_connection(play: Callable[[Scene], None]) -> None:
    async def scene(served: Served) -> None:
        async with served.client(token="s3cret") as session, session.get("/v1/events?follow=1") as stream:
            await stream.content.readline()
            assert await served.ask(session=session) == 200
            await served.reload(tokens=())
            await ended(stream)
            with pytest.raises(aiohttp.ClientError):  # without tokens a certificate is required
                await served.ask(session=session)
            await served.reload(tokens=(Token(name="new", sha256=hashlib.sha256(b"n").hexdigest()),))
            assert await served.ask(session=session) == 401

    play(scene)


def test_certificate_that_was_revoked_is_refused_on_its_open_connection(
    play: Callable[[Scene], None],
) -> None:
    async def scene(served: Served) -> None:
        async with served.client("ci") as session:
            assert await served.ask(session=session) == 200
            await served.reload(clients=())
            assert await served.ask(session=session) == 403

    play(scene)


def test_reload_without_a_change_leaves_streams_alone(play: Callable[[Scene], None]) -> None:
    async def scene(served: Served) -> None:
        async with served.client("ci") as session, session.get("/v1/events?follow=1") as stream:
            await stream.content.readline()
            await served.reload()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(stream.content.readany(), 0.1)

    play(scene)


def test_listener_moves_and_goes_with_its_setting(play: Callable[[Scene], None]) -> None:
    async def scene(served: Served) -> None:
        async with served.client("ci") as session:
            assert await served.ask(session=session) == 200
            await served.reload(port=free_port())
            assert await served.ask("ci") == 200
            await served.api.reload(served.settings.model_copy(update={"tls": None}))
            with pytest.raises(aiohttp.ClientError):
                await served.ask("ci")
            with pytest.raises(aiohttp.ClientError):
                await served.ask(session=session)

    play(scene)


def test_unfinished_handshakes_count_and_end(
    play: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listen, "HANDSHAKE_S", 0.3)
    monkeypatch.setattr(listen.Listener.__init__, "__defaults__", (None, 2, lambda _: False))

    async def scene(served: Served) -> None:
        assert served.settings.tls is not None
        silent = [await asyncio.open_connection("127.0.0.1", served.settings.tls.port) for _ in range(5)]
        async with asyncio.timeout(0.25):
            assert [await reader.read() for reader, _ in silent[4:]] == [b""], "too many"
        async with asyncio.timeout(5):
            assert [await reader.read() for reader, _ in silent[:4]] == [b""] * 4, "too slow"
        assert await served.ask("ci") == 200, "their places are free again"
        for _, writer in silent:
            writer.close()

    play(scene)
    assert caplog.text == ""


def test_wildcard_stands_for_one_label() -> None:
    names = frozenset({"*.example.net"})
    assert is_named("LB1.example.net", names)
    assert not is_named("example.net", names)
    assert not is_named("a.b.example.net", names)


def test_tls_before_1_2_is_not_spoken(play: Callable[[Scene], None]) -> None:
    async def scene(served: Served) -> None:
        assert served.settings.tls is not None
        assert read_credentials(served.settings.tls).context.minimum_version is ssl.TLSVersion.TLSv1_2

    play(scene)


def test_bad_certificate_names_its_files_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    bad = settings(folder, 1).model_copy(update={"certificate": str(tmp_path / "none.pem")})
    with pytest.raises(ApiFailed, match=r"none\.pem"):
        asyncio.run(ApiServer(FakeControl(), ApiSettings(socket=str(tmp_path / "s"), tls=bad)).start())
    assert not (tmp_path / "s").exists()
