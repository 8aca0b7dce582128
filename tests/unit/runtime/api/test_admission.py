"""Whose requests are answered, by what is in force when they ask."""

import ssl
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from kernelbal.model.choices import Right
from kernelbal.model.node import ApiSettings, ApiTls, ClientCertificate
from kernelbal.runtime.api.access import NOBODY, Caller
from kernelbal.runtime.api.admission import Admission
from kernelbal.runtime.api.answers import RequestRefused
from kernelbal.runtime.api.tls import Credentials, TlsFiles
from tests.support.api_harness import ApiHarness, with_api

CI = Caller("certificate ci", Right.READ)
SETTINGS = ApiSettings(
    tls=ApiTls(
        address=b"\x7f\0\0\1", certificate="/c", key="/k", clients=(ClientCertificate(common_name="ci"),)
    )
)


def credentials() -> Credentials:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return Credentials(TlsFiles(b"", b"", None, False), context, frozenset({"server"}))


def request_by_tls(accepted_with: Credentials, *hosts: str) -> web.Request:
    """Return a request with the certificate of `ci`."""
    known = {
        "ssl_object": object(),
        "sslcontext": accepted_with.context,
        "peercert": {"subject": ((("commonName", "ci"),),)},
    }
    transport = Mock(get_extra_info=lambda name, default=None: known.get(name, default))
    headers = [("Host", host) for host in hosts]
    return make_mocked_request("GET", "/", headers=headers, transport=transport)  # type: ignore[arg-type] - any pairs do


def admission(in_force: Credentials) -> Admission:
    made = Admission(SETTINGS)
    made.credentials = in_force
    return made


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8443", "[::1]:8443", "server", "SERVER.:1"])
def test_host_may_be_an_address_or_a_name_of_the_certificate(host: str) -> None:
    in_force = credentials()
    assert admission(in_force).caller_of(request_by_tls(in_force, host)) == CI


@pytest.mark.parametrize(
    "hosts",
    [("evil.example",), ("evil.example@127.0.0.1",), ("[server]",), ("",), (), ("server", "server")],
    ids=str,
)
def test_other_hosts_are_refused(hosts: tuple[str, ...]) -> None:
    in_force = credentials()
    with pytest.raises(RequestRefused) as refusal:
        admission(in_force).caller_of(request_by_tls(in_force, *hosts))
    assert refusal.value.status == 421


def test_certificate_counts_only_with_the_ca_in_force() -> None:
    assert admission(credentials()).caller_of(request_by_tls(credentials(), "server")) == NOBODY


@with_api()
async def test_web_page_may_not_change_anything(api: ApiHarness) -> None:
    for path in ("/v1/reload", "/v1/plan"):
        status, answer = await api.ask("POST", path, headers={"Origin": "null"})
        assert (status, answer["error"]) == (403, "a web page may not do this")
    assert api.control.reloads == []
