"""GUE listeners, against a scripted kernel; that they unwrap is proved in tests/lab/test_realserver.py."""

import errno
import struct
from collections.abc import Iterable

import pytest

from kernelbal.errors import KernelError
from kernelbal.kernel import listeners
from kernelbal.kernel.listeners import observe_listeners, perform_listeners
from kernelbal.kernel.modules import ModuleLoad
from kernelbal.kernel.netlink import GENL_ID_CTRL, Netlink, attribute
from kernelbal.kernel.sockets import OpenSockets
from kernelbal.model.network import GueListener
from kernelbal.plan.action import Result
from kernelbal.plan.kinds.listeners import CloseListener, OpenListener
from tests.unit.kernel.fake_netlink import FAMILY, Answering, FakeSocket, Reply, Request, ack, done, message

PORT = GueListener(5555, 10)
BODY = attribute(1, struct.pack("!H", 5555)) + attribute(2, bytes([10]))


class Kernel:
    """Answers the search for the family, and everything else by `answering`."""

    def __init__(self, answering: Answering, known: bool = True) -> None:
        self._answering = answering
        self.known = known

    def __call__(self, request: Request) -> Iterable[Reply]:
        if request.family != GENL_ID_CTRL:
            return self._answering(request)
        if not self.known:
            return [ack(request.sequence, errno.ENOENT)]
        return [message(request.sequence, attribute(1, struct.pack("=H", FAMILY))), ack(request.sequence)]


def scripted(monkeypatch: pytest.MonkeyPatch, kernel: Kernel) -> FakeSocket:
    sock = FakeSocket(kernel)
    monkeypatch.setattr(Netlink, "open", lambda: Netlink(sock))
    return sock


def agree(request: Request) -> list[Reply]:
    return [ack(request.sequence)]


def test_ports_that_unwrap_gue_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def listing(request: Request) -> list[Reply]:
        plain = attribute(1, struct.pack("!H", 7777)) + attribute(2, bytes([2])) + attribute(4, bytes([1]))
        return [
            message(request.sequence, BODY + attribute(4, bytes([2]))) + message(request.sequence, plain),
            done(request.sequence),
        ]

    scripted(monkeypatch, Kernel(listing))
    assert observe_listeners() == {PORT}


def test_no_module_means_no_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, Kernel(agree, known=False))
    assert observe_listeners() == frozenset()


def test_kernel_that_does_not_let_itself_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, Kernel(lambda request: [done(request.sequence, errno.EPERM)]))
    with pytest.raises(KernelError, match="GUE listeners"):
        observe_listeners()


def test_open_and_close(monkeypatch: pytest.MonkeyPatch) -> None:
    sock = scripted(monkeypatch, Kernel(agree))
    outcomes = perform_listeners(OpenSockets(), [OpenListener(PORT), CloseListener(PORT)])
    assert [outcome.result for outcome in outcomes] == [Result.DONE, Result.DONE]
    assert [(request.command, request.body) for request in sock.requests[1:]] == [
        (1, BODY + attribute(4, bytes([2]))),
        (2, BODY),
    ]
    assert sock.closed


@pytest.mark.parametrize(
    ("number", "result", "hint"),
    [(errno.EADDRINUSE, Result.FAILED, "choose another port"), (errno.EPERM, Result.FAILED, "root")],
)
def test_refused(monkeypatch: pytest.MonkeyPatch, number: int, result: Result, hint: str) -> None:
    scripted(monkeypatch, Kernel(lambda request: [ack(request.sequence, number)]))
    (outcome,) = perform_listeners(OpenSockets(), [OpenListener(PORT)])
    assert outcome.result is result
    assert hint in outcome.hint


def test_port_that_is_closed_already(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, Kernel(lambda request: [ack(request.sequence, errno.EINVAL)]))
    (outcome,) = perform_listeners(OpenSockets(), [CloseListener(PORT)])
    assert outcome.result is Result.ALREADY


def test_module_is_loaded_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(agree, known=False)
    loaded: list[str] = []

    def load(module: str) -> ModuleLoad:
        loaded.append(module)
        kernel.known = True
        return ModuleLoad(module, loaded=True)

    monkeypatch.setattr(listeners, "load_module", load)
    scripted(monkeypatch, kernel)
    assert [outcome.result for outcome in perform_listeners(OpenSockets(), [OpenListener(PORT)])] == [
        Result.DONE
    ]
    assert loaded == ["fou", "fou6"]


def test_kernel_without_gue_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "load_module", lambda module: ModuleLoad(module, loaded=False))
    scripted(monkeypatch, Kernel(agree, known=False))
    (outcome,) = perform_listeners(OpenSockets(), [OpenListener(PORT)])
    assert (outcome.result, outcome.hint) == (Result.FAILED, "modprobe fou")
