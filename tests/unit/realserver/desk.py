"""A real server in memory, like `samples.host()`."""

from tests.support.fake_host import FakeHost
from tests.support.fake_kernel import FakeKernel
from tests.unit.realserver.samples import ADDRESSES, LINKS, SYSCTLS, host


def fake_host() -> FakeHost:
    """A host with two networks, strict reverse-path filtering and nothing prepared."""
    kernel = FakeKernel(
        addresses={each.key: each for each in ADDRESSES},
        links={link.name: link for link in LINKS},
        routes=host().routes,
        sysctls=dict(SYSCTLS),
    )
    return FakeHost(kernel)
