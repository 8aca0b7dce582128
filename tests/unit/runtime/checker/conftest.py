"""What the tests of the checker share."""

import random
import select
import socket
from collections.abc import Iterator

import pytest

from kernelbal.runtime.checker.outbox import Outbox
from kernelbal.runtime.checker.reactor import Reactor
from kernelbal.runtime.parent import ParentLink


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    ours, theirs = socket.socketpair()
    poller = select.epoll()
    mark = memoryview(bytearray(8)).cast("Q")
    reactor = Reactor(Outbox(ParentLink(theirs, lambda _: None)), poller, random.Random(1), mark)
    reactor.now = 100.0
    yield reactor
    poller.close()
    ours.close()
    theirs.close()
