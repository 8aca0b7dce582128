"""Waiting for leaving real servers to lose their connections."""

import errno

from kernelbal.plan.kind import DesiredState, PendingDrain
from kernelbal.plan.kinds.service_actions import QuiesceDestination
from kernelbal.reconcile.round import Reconciler
from kernelbal.reconcile.settle_drains import POLL_S, finish_drains
from tests.support.builders import real, service, virtual, weighing
from tests.support.fake_kernel import FakeKernel, connections
from tests.support.fake_store import MemoryStore
from tests.support.states import owned_of

WEB, A = service("192.0.2.10", 80), real("10.0.0.11")
NOTHING = DesiredState()


class Scene:
    """A service that leaves; its connections end after `lasts_s`, and sleeping moves the clock."""

    def __init__(self, lasts_s: float) -> None:
        self.now = 0.0
        self.lasts_s = lasts_s
        self.kernel = FakeKernel(
            services={WEB: virtual((A, weighing(5)))}, counters={WEB: {A: connections(2)}}
        )
        store = MemoryStore([owned_of(services=frozenset({WEB}))])
        self.reconciler = Reconciler(self.kernel, store, lambda: self.now)
        self.shown: list[tuple[PendingDrain, ...]] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.lasts_s:
            self.kernel.counters.get(WEB, {}).pop(A, None)


def test_waits_until_the_connections_have_ended() -> None:
    scene = Scene(lasts_s=5)
    report = finish_drains(scene.reconciler, NOTHING, scene.sleep, scene.shown.append)
    assert report.converged
    assert scene.kernel.services == {}
    assert scene.now == 5
    assert [each[0].left_s for each in scene.shown[1:]] == [60 - n * POLL_S for n in range(1, 5)]


def test_waits_no_longer_than_the_deadline() -> None:
    scene = Scene(lasts_s=1e9)
    assert finish_drains(scene.reconciler, NOTHING, scene.sleep, scene.shown.append).converged
    assert scene.kernel.services == {}
    assert scene.now == 60


def test_does_not_wait_when_something_was_refused() -> None:
    scene = Scene(lasts_s=5)
    scene.kernel.refuse = lambda action: errno.EPERM if isinstance(action, QuiesceDestination) else 0
    report = finish_drains(scene.reconciler, NOTHING, scene.sleep, scene.shown.append)
    assert not report.converged
    assert scene.now == 0


def test_interrupted_wait_is_gone_on_with() -> None:
    scene = Scene(lasts_s=1e9)

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    try:
        finish_drains(scene.reconciler, NOTHING, interrupted, scene.shown.append)
    except KeyboardInterrupt:
        scene.now += 59
    finish_drains(scene.reconciler, NOTHING, scene.sleep, scene.shown.append)
    assert scene.now == 60
