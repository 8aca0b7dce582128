"""Steps in one line each."""

import pytest

from kernelbal.model.network import GueListener, LinkState
from kernelbal.plan.actions import CloseListener, EnsureLink, OpenListener
from kernelbal.realserver.steps import RemoveFile, Step, WriteFile, describe_step


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (WriteFile("/etc/a", None, "x"), ("+", "file /etc/a")),
        (WriteFile("/etc/a", "y", "x"), ("~", "file /etc/a")),
        (RemoveFile("/etc/a", None), ("-", "file /etc/a")),
        (RemoveFile("/etc/a", "y"), ("~", "file /etc/a as it was")),
        (EnsureLink(LinkState("tunl0")), ("+", "link tunl0 up")),
        (OpenListener(GueListener(5555, 2)), ("+", "listener gue 5555/udp ipv4")),
        (CloseListener(GueListener(5555, 10)), ("-", "listener gue 5555/udp ipv6")),
    ],
)
def test_words(step: Step, line: tuple[str, str]) -> None:
    assert describe_step(step) == line
