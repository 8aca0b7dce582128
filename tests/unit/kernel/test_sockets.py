"""When sockets are opened and closed, and when a module is loaded for one."""

import errno
from types import SimpleNamespace

import pytest

from kernelbal.errors import KernelError, NotPermitted, NotSupported
from kernelbal.kernel import sockets
from kernelbal.kernel.modules import ModuleLoad
from kernelbal.kernel.sockets import OpenSockets

NO_IPVS = NotSupported("open IPVS", "", errno.ENOENT, "the kernel has no IPVS", "modprobe ip_vs")


class Opened:
    """Something that was opened."""

    def __init__(self) -> None:
        self.closed = 0

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1


class Bench:
    """Sockets; `errors` are what opening IPVS ends with, call by call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.errors: list[KernelError] = []
        self.loaded: list[str] = []
        self.opened: list[Opened] = []
        self.loading = ModuleLoad("ip_vs", loaded=True)
        for name in ("IpvsTable", "RtNetlink", "Nftables"):
            monkeypatch.setattr(sockets, name, SimpleNamespace(open=self.open))
        monkeypatch.setattr(sockets, "load_module", self.load)
        self.sockets = OpenSockets()

    def open(self) -> Opened:
        if self.errors:
            raise self.errors.pop(0)
        self.opened.append(Opened())
        return self.opened[-1]

    def load(self, name: str) -> ModuleLoad:
        self.loaded.append(name)
        return self.loading


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


@pytest.mark.parametrize("name", ["ipvs", "rtnetlink", "nftables"])
def test_each_is_opened_once_and_when_first_needed(bench: Bench, name: str) -> None:
    assert bench.opened == []
    assert getattr(bench.sockets, name) is getattr(bench.sockets, name)
    assert (len(bench.opened), bench.loaded) == (1, [])


def test_everything_is_closed_at_the_end_and_opened_anew(bench: Bench) -> None:
    first = bench.sockets.ipvs
    bench.sockets.close()
    assert bench.opened[0].closed == 1
    assert bench.sockets.ipvs is not first


def test_module_is_loaded_when_the_kernel_did_not(bench: Bench) -> None:
    bench.errors = [NO_IPVS]
    assert bench.sockets.ipvs is bench.opened[0]
    assert bench.loaded == ["ip_vs"]


def test_module_that_cannot_be_loaded_leaves_the_error_with_its_hint(bench: Bench) -> None:
    bench.errors = [NO_IPVS, NO_IPVS]
    bench.loading = ModuleLoad("ip_vs", loaded=False, message="there is no modprobe", hint="other")
    with pytest.raises(NotSupported) as caught:
        _ = bench.sockets.ipvs
    assert caught.value is NO_IPVS
    assert bench.errors == [NO_IPVS], "nothing has changed since"


def test_module_that_helps_nothing_is_loaded_once(bench: Bench) -> None:
    bench.errors = [NO_IPVS] * 3
    for _ in range(2):
        with pytest.raises(NotSupported):
            _ = bench.sockets.ipvs
    assert (bench.loaded, bench.errors) == (["ip_vs"], [])


def test_ipvs_that_comes_later_is_noticed(bench: Bench) -> None:
    bench.errors = [NO_IPVS]
    bench.loading = ModuleLoad("ip_vs", loaded=False)
    with pytest.raises(NotSupported):
        _ = bench.sockets.ipvs
    assert bench.sockets.ipvs is bench.opened[0]


def test_missing_capability_loads_nothing(bench: Bench) -> None:
    bench.errors = [NotPermitted("open", "", errno.EPERM, "no")]
    with pytest.raises(NotPermitted):
        _ = bench.sockets.ipvs
    assert bench.loaded == []
