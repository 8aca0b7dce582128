"""What the kernel's error numbers mean, by operation: one table.

The meanings are those of `net/netfilter/ipvs/ip_vs_ctl.c`. What an operation does not list is looked up under
`ANY`, and what that does not list is worded by the C library.
"""

from __future__ import annotations

import errno
import os
from enum import StrEnum
from typing import NamedTuple

from kernelbal.errors import KernelError, NotPermitted, NotSupported
from kernelbal.plan.actions import Result


class Operation(StrEnum):
    """What was asked of the kernel, as a user reads it."""

    ANY = "any operation"
    ADD_SERVICE = "add virtual service"
    EDIT_SERVICE = "edit virtual service"
    REMOVE_SERVICE = "remove virtual service"
    ADD_DESTINATION = "add real server"
    EDIT_DESTINATION = "edit real server"
    QUIESCE_DESTINATION = "quiesce real server"
    REMOVE_DESTINATION = "remove real server"
    SET_TIMEOUTS = "set IPVS timeouts"
    OPEN = "talk to the kernel"
    READ = "read the IPVS table"
    ZERO = "zero IPVS counters"
    START_DAEMON = "start IPVS sync daemon"
    STOP_DAEMON = "stop IPVS sync daemon"


class Subject(NamedTuple):
    """What an operation was about, for the words of its error.

    Attributes:
        target: such as `192.0.2.10:80/tcp -> 10.0.0.11:80`.
        scheduler: kernel name of the scheduler, or empty.
        engine: kernel name of the persistence engine, or empty.
    """

    target: str
    scheduler: str = ""
    engine: str = ""


class Meaning(NamedTuple):
    """One row of the table; `message` and `hint` are format strings over the fields of `Subject`."""

    result: Result
    message: str
    hint: str = ""


class Explanation(NamedTuple):
    """An error in words."""

    result: Result
    message: str
    hint: str


def _failed(message: str, hint: str = "") -> Meaning:
    return Meaning(Result.FAILED, message, hint)


_SCHEDULER_MISSING = _failed("the kernel has no scheduler `{scheduler}`", "modprobe ip_vs_{scheduler}")
_SCHEDULER_OR_ENGINE_MISSING = _failed(
    "the kernel has no scheduler `{scheduler}` or no persistence engine `{engine}`",
    "modprobe -a ip_vs_{scheduler} ip_vs_pe_{engine}",
)
_NO_SERVICE = _failed("the virtual service is not in the kernel", "run `kernelbal apply` again")
_NO_DESTINATION = _failed("the real server is not in the kernel", "run `kernelbal apply` again")
_GONE = Meaning(Result.ALREADY, "was gone already")
_THERE = Meaning(Result.ALREADY, "was there already")
_NOT_PERMITTED = _failed("the kernel requires CAP_NET_ADMIN", "run it as root, for example with sudo")
_BAD_DESTINATION = _failed(
    "the kernel refuses the real server: its address is not unicast or not routable, its family differs from "
    "the virtual service's without tunnel forwarding, or a GUE tunnel lacks its port",
    "check the address, and that `lo` is up in this network namespace; families are mixed only by tunnel, "
    "and never while a sync daemon runs",
)
_BAD_WEIGHT = _failed(
    "the weight is negative, or the lower connection threshold is above the upper",
    "use a weight of 0-65535 and a lower threshold not above the upper",
)
_BAD_SERVICE = _failed(
    "the kernel refuses the virtual service: an attribute is out of range",
    "check the persistence prefix (1-32, IPv6 1-128) and that this kernel knows every flag",
)
_NO_FAMILY = _failed("the kernel's IPVS has no IPv6", "use a kernel with CONFIG_IP_VS_IPV6")
_NO_PROTOCOL = _failed(
    "the kernel's IPVS does not balance this protocol",
    "use a kernel with CONFIG_IP_VS_PROTO_TCP, _UDP and _SCTP",
)

TABLE: dict[tuple[Operation, int], Meaning] = {
    (Operation.ANY, errno.EPERM): _NOT_PERMITTED,
    (Operation.ANY, errno.EACCES): _NOT_PERMITTED,
    (Operation.ANY, errno.ENOMEM): _failed("the kernel is out of memory", "free memory, then apply again"),
    (Operation.ANY, errno.ENOBUFS): _failed(
        "the kernel's answer was lost, and the table does not hold it", "run `kernelbal apply` again"
    ),
    (Operation.ANY, errno.EAFNOSUPPORT): _NO_FAMILY,
    (Operation.ANY, errno.EPROTONOSUPPORT): _NO_PROTOCOL,
    (Operation.ANY, errno.ESRCH): _NO_SERVICE,
    (Operation.ANY, errno.EOPNOTSUPP): _failed("the kernel's IPVS does not know this operation"),
    (Operation.ANY, errno.EMSGSIZE): _failed("the request is larger than the socket takes"),
    (Operation.ADD_SERVICE, errno.EEXIST): _THERE,
    (Operation.ADD_SERVICE, errno.ENOENT): _SCHEDULER_MISSING,
    (Operation.ADD_SERVICE, errno.EINVAL): _BAD_SERVICE,
    (Operation.ADD_SERVICE, errno.ERANGE): _BAD_SERVICE,
    (Operation.ADD_SERVICE, errno.EADDRNOTAVAIL): _failed("the virtual address cannot be used here"),
    (Operation.EDIT_SERVICE, errno.ENOENT): _SCHEDULER_MISSING,
    (Operation.EDIT_SERVICE, errno.EINVAL): _BAD_SERVICE,
    (Operation.EDIT_SERVICE, errno.ERANGE): _BAD_SERVICE,
    (Operation.REMOVE_SERVICE, errno.ENOENT): _GONE,
    (Operation.REMOVE_SERVICE, errno.ESRCH): _GONE,
    (Operation.ADD_DESTINATION, errno.EEXIST): _THERE,
    (Operation.ADD_DESTINATION, errno.EINVAL): _BAD_DESTINATION,
    (Operation.ADD_DESTINATION, errno.ERANGE): _BAD_WEIGHT,
    (Operation.ADD_DESTINATION, errno.EADDRNOTAVAIL): _BAD_DESTINATION,
    (Operation.EDIT_DESTINATION, errno.ENOENT): _NO_DESTINATION,
    (Operation.EDIT_DESTINATION, errno.EINVAL): _BAD_DESTINATION,
    (Operation.EDIT_DESTINATION, errno.ERANGE): _BAD_WEIGHT,
    (Operation.QUIESCE_DESTINATION, errno.ENOENT): _GONE,
    (Operation.QUIESCE_DESTINATION, errno.ESRCH): _GONE,
    (Operation.REMOVE_DESTINATION, errno.ENOENT): _GONE,
    (Operation.REMOVE_DESTINATION, errno.ESRCH): _GONE,
    (Operation.SET_TIMEOUTS, errno.EINVAL): _failed("the kernel refuses a timeout", "use 1 s to 24 days"),
    (Operation.READ, errno.ESRCH): _failed("the virtual service vanished while it was read", "read again"),
    (Operation.START_DAEMON, errno.EEXIST): _THERE,
    (Operation.START_DAEMON, errno.ENODEV): _failed("the sync interface does not exist"),
    (Operation.START_DAEMON, errno.EINVAL): _failed(
        "the kernel refuses the sync daemon: a real server's family differs from its virtual service's, "
        "or an attribute is out of range",
        "synchronization is impossible while such real servers exist",
    ),
    (Operation.STOP_DAEMON, errno.ESRCH): _GONE,
}


def explain(operation: Operation, number: int, subject: Subject, text: str = "") -> Explanation:
    """Return an error number in words; `text` is what the kernel itself said, if anything."""
    meaning = TABLE.get((operation, number)) or TABLE.get((Operation.ANY, number))
    if meaning is None:
        meaning = _failed(os.strerror(number).lower())
    elif meaning is _SCHEDULER_MISSING and subject.engine:
        meaning = _SCHEDULER_OR_ENGINE_MISSING  # the kernel gives one number for both
    fields = subject._asdict()
    message = meaning.message.format_map(fields)
    if text:
        message = f"{message} (kernel: {text})"
    return Explanation(meaning.result, message, meaning.hint.format_map(fields))


def error(operation: Operation, number: int, subject: Subject, text: str = "") -> KernelError:
    """Return the exception for an error number, of the class that says what its catcher can do."""
    _, message, hint = explain(operation, number, subject, text)
    kind = _KINDS.get(number, KernelError)
    whole = f"cannot {operation}: {message}" if subject.target == "" else f"{subject.target}: {message}"
    return kind(str(operation), subject.target, number, whole, hint or None)


_KINDS: dict[int, type[KernelError]] = {
    errno.EPERM: NotPermitted,
    errno.EACCES: NotPermitted,
    errno.EAFNOSUPPORT: NotSupported,
    errno.EPROTONOSUPPORT: NotSupported,
    errno.EOPNOTSUPP: NotSupported,
}
