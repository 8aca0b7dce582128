"""Namespaces and mounts, by the system calls themselves."""

import os
import socket
import threading

import pytest

from kernelbal.lab import linuxns

pytestmark = pytest.mark.needs_root

OWN = "/proc/thread-self/ns/net"


@pytest.fixture
def name() -> str:
    linuxns.create_namespace("spare")
    return "spare"


@pytest.fixture(autouse=True)
def _tidy() -> object:
    yield
    for left in os.listdir(linuxns.NAMED_NAMESPACES):
        linuxns.delete_namespace(left)


def test_only_the_calling_thread_moves(name: str) -> None:
    before = os.readlink(OWN)
    seen: list[str] = []
    inside, done = threading.Event(), threading.Event()

    def stay() -> None:
        with linuxns.inside(name):
            seen.append(os.readlink(OWN))
            inside.set()
            done.wait(10)
        seen.append(os.readlink(OWN))

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait(10)
    assert os.readlink(OWN) == before
    done.set()
    thread.join()
    assert seen[0] != before
    assert seen[1] == before


def test_thread_returns_when_the_block_fails(name: str) -> None:
    before = os.readlink(OWN)
    with pytest.raises(ZeroDivisionError), linuxns.inside(name):
        raise ZeroDivisionError
    assert os.readlink(OWN) == before


def test_sockets_stay_where_they_were_made(name: str) -> None:
    with linuxns.inside(name), socket.socket() as _:
        made = socket.socket()
    with made, pytest.raises(OSError, match="Network is unreachable"):
        made.connect(("127.0.0.1", 1))  # the loopback device is up here, but not there


def test_unknown_namespace_is_an_error_that_changes_nothing() -> None:
    before = os.readlink(OWN)
    with pytest.raises(FileNotFoundError), linuxns.inside("no-such-host"):
        pass
    assert os.readlink(OWN) == before
    assert not os.listdir(linuxns.NAMED_NAMESPACES)


def test_name_is_taken_once(name: str) -> None:
    with pytest.raises(FileExistsError):
        linuxns.create_namespace(name)


def test_no_descriptor_leaks(name: str) -> None:
    before = os.listdir("/proc/self/fd")
    for number in range(20):
        linuxns.create_namespace(f"n{number}")
        with linuxns.inside(name):
            pass
    assert len(os.listdir("/proc/self/fd")) == len(before)
