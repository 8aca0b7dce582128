"""Settings of the daemon, one value at a time."""

import pytest
from pydantic import ValidationError

from kernelbal.model.choices import Right
from kernelbal.model.node import DEFAULT_SOCKET, Hook, Node, Token

DIGEST = "0123456789abcdef" * 4


def test_daemon_needs_no_settings() -> None:
    node = Node.model_validate({"name": "lb1"})
    assert node.api.socket == DEFAULT_SOCKET
    assert (node.api.tls, node.notify, node.api.change_groups) == (None, (), ())


def test_token_may_only_read_unless_it_is_said() -> None:
    assert Token.model_validate({"name": "desk", "sha256": DIGEST}).right is Right.READ


@pytest.mark.parametrize("sha256", ["", "secret", DIGEST[1:], DIGEST.upper(), f"{DIGEST}\n"])
def test_token_is_given_by_its_digest(sha256: str) -> None:
    with pytest.raises(ValidationError):
        Token.model_validate({"name": "desk", "sha256": sha256})


@pytest.mark.parametrize(
    "webhook", ["ftp://a.example/", "//a.example", "https://", "https://a.example/ x", ""]
)
def test_webhook_is_an_http_address(webhook: str) -> None:
    with pytest.raises(ValidationError):
        Hook.model_validate({"webhook": webhook})


@pytest.mark.parametrize("socket", ["run/k.sock", "", "/", "/a\x00b"])
def test_socket_is_a_full_path(socket: str) -> None:
    with pytest.raises(ValidationError):
        Node.model_validate({"name": "lb1", "api": {"socket": socket}})
