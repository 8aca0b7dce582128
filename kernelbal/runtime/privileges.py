"""What a child process gives up for good once it has started: capabilities, and system calls it never makes.

A child that reads what strangers send is the likeliest to be taken over. It keeps what probing needs, and can
neither start programs nor look into other processes, although it is root.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

NETWORK: Final = frozenset({12, 13})
"""CAP_NET_ADMIN (firewall marks), CAP_NET_RAW (echo requests)."""
SCRIPTS: Final = frozenset({6, 7})
"""CAP_SETGID, CAP_SETUID."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_CAPABILITY_VERSION_3: Final = 0x20080522
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2


class SystemCalls(NamedTuple):
    """How a machine numbers the system calls that are refused.

    Attributes:
        audit: `AUDIT_ARCH_*` of `linux/audit.h`.
        numbers: execve, execveat, ptrace, process_vm_readv, process_vm_writev, pidfd_getfd, kexec_load, bpf,
            mount, umount2, init_module, finit_module, setns, unshare, keyctl.
    """

    audit: int
    numbers: tuple[int, ...]


_PIDFD_GETFD: Final = 438
SYSTEM_CALLS: Final = {
    "x86_64": SystemCalls(
        0xC000003E, (59, 322, 101, 310, 311, _PIDFD_GETFD, 246, 321, 165, 166, 175, 313, 308, 272, 250)
    ),
    "aarch64": SystemCalls(
        0xC00000B7, (221, 281, 117, 270, 271, _PIDFD_GETFD, 104, 280, 40, 39, 105, 273, 268, 97, 219)
    ),
}
"""`asm/unistd_64.h`, `asm-generic/unistd.h`. Machines that are not here go without a filter."""


def keep_capabilities(numbers: Iterable[int]) -> None:
    """Give up all capabilities but these (`capabilities(7)`); those that are not there do not come back.

    Raises:
        OSError: the kernel refuses it.
    """
    wanted = sum(1 << number for number in set(numbers))
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(24)
    _check(_LIBC.capget(header, data))
    low = struct.unpack("=6I", data.raw)
    permitted = (low[1] | low[4] << 32) & wanted
    words = (permitted & 0xFFFFFFFF, permitted >> 32)
    raw = struct.pack("=6I", words[0], words[0], 0, words[1], words[1], 0)
    _check(_LIBC.capset(header, ctypes.create_string_buffer(raw)))


def refuse_system_calls() -> bool:
    """Make system calls that no probe needs fail with EPERM, in this process and its threads from now on.

    Returns:
        Whether this machine's numbers are known, and its kernel has filters (CONFIG_SECCOMP_FILTER).
    """
    known = SYSTEM_CALLS.get(platform.machine())
    if known is None:
        return False
    program = _filter(known)
    code = ctypes.create_string_buffer(b"".join(program))
    described = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    _check(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    refused: int = _LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, described, 0, 0)
    return not refused


def _filter(known: SystemCalls) -> list[bytes]:
    """Return a classic BPF program (`seccomp(2)`); a call of another architecture ends the process."""
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    kill, refuse, allow = 0x80000000, 0x00050000 | 1, 0x7FFF0000
    count = len(known.numbers)
    rows = [
        (load, 0, 0, 4),
        (equal, 1, 0, known.audit),
        (give, 0, 0, kill),
        (load, 0, 0, 0),
        (at_least, count + 1, 0, 0x40000000),  # x32 on x86_64
        *((equal, count - place, 0, number) for place, number in enumerate(known.numbers)),
        (give, 0, 0, allow),
        (give, 0, 0, refuse),
    ]
    return [struct.pack("=HBBI", *row) for row in rows]


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
