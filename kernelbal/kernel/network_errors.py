"""What the kernel's error numbers mean for addresses, links, sysctls and nftables: one table.

What an action does not list is looked up under `None`, and what that does not list is worded by the C
library.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from kernelbal.errors import KernelError, NotPermitted, NotSupported
from kernelbal.plan.actions import (
    Action,
    AddAddress,
    AddRoute,
    AddRule,
    CloseListener,
    EnsureLink,
    OpenListener,
    Outcome,
    RemoveAddress,
    RemoveLink,
    RemoveRoute,
    RemoveRule,
    ReplaceAddress,
    ReplaceRoute,
    ReplaceTable,
    Result,
    WriteSysctl,
)


class Meaning(NamedTuple):
    """One row of the table."""

    result: Result
    message: str
    hint: str = ""


def _failed(message: str, hint: str = "") -> Meaning:
    return Meaning(Result.FAILED, message, hint)


AS_ROOT = "run it as root, for example with sudo"
NFT_MODULES = "modprobe -a nf_tables nft_masq nft_nat nft_ct nft_fib_inet nf_conntrack"

_GONE = Meaning(Result.ALREADY, "was gone already")
_NO_DEVICE = _failed("there is no such device", "name an existing device in node.yaml: `ip link` lists them")
_NO_IPV6 = _failed(
    "the device takes no IPv6 address",
    "IPv6 is switched off: set net.ipv6.conf.all.disable_ipv6 and the device's to 0",
)
_NO_KIND = _failed("the kernel has no such kind of link", "modprobe ipip, sit, ip6_tunnel, ip_gre or ip6_gre")

_KEEPS_OTHERS = _failed(
    "other addresses of its network could be lost with it, and /proc/sys is read-only here",
    "set net.ipv4.conf.all.promote_secondaries to 1, then apply again",
)
_NO_POLICY_ROUTING = _failed(
    "the kernel has no policy routing",
    "use a kernel with CONFIG_IP_MULTIPLE_TABLES and its IPv6 twin",
)
_NO_WAY_TO_GATEWAY = _failed(
    "the gateway cannot be reached by this device",
    "its subnet must be on the device, which must be up: correct `gateway` or `network` of the edge route",
)
_TABLE_TAKEN = _failed(
    "the table holds such a route of someone else",
    "name another `table` in the edge route, or remove theirs: `ip route show table all`",
)

TABLE: dict[tuple[type[Action] | None, int], Meaning] = {
    (None, errno.EPERM): _failed("the kernel requires CAP_NET_ADMIN", AS_ROOT),
    (None, errno.EACCES): _failed("the kernel requires CAP_NET_ADMIN", AS_ROOT),
    (None, errno.ENOMEM): _failed("the kernel is out of memory", "free memory, then apply again"),
    (None, errno.ENOBUFS): _failed("the kernel has no room for it", "run `kernelbal apply` again"),
    (AddAddress, errno.EACCES): _NO_IPV6,
    (AddAddress, errno.EEXIST): _failed(
        "the device holds this address already, with other attributes",
        "remove it with `ip address del`, or leave it out of the site file",
    ),
    (AddAddress, errno.ENODEV): _NO_DEVICE,
    (AddAddress, errno.EAFNOSUPPORT): _failed(
        "the kernel has no such address family", "use a kernel with IPv6"
    ),
    (AddAddress, errno.EINVAL): _failed(
        "the kernel refuses this address", "it must be a unicast address, and the device's MTU at least 1280"
    ),
    (AddAddress, errno.EADDRNOTAVAIL): _failed(
        "the kernel refuses this address", "it must be a unicast address"
    ),
    (ReplaceAddress, errno.ENODEV): _NO_DEVICE,
    (ReplaceAddress, errno.EROFS): _KEEPS_OTHERS,
    (RemoveAddress, errno.EROFS): _KEEPS_OTHERS,
    (ReplaceAddress, errno.ENOENT): _failed("the address vanished meanwhile", "run `kernelbal apply` again"),
    (RemoveAddress, errno.EADDRNOTAVAIL): _GONE,
    (RemoveAddress, errno.ENODEV): _GONE,
    (EnsureLink, errno.ENODEV): _failed("there is no such device", "name an existing device"),
    (EnsureLink, errno.EOPNOTSUPP): _NO_KIND,
    (EnsureLink, errno.EEXIST): _failed(
        "another device of this kind takes all packets already", "use the kernel's own, such as tunl0"
    ),
    (EnsureLink, errno.EINVAL): _failed("the device refuses this MTU", "use an MTU that the device takes"),
    (RemoveLink, errno.ENODEV): _GONE,
    (RemoveLink, errno.EOPNOTSUPP): _failed("the kernel does not let this device go", "it is no virtual one"),
    (OpenListener, errno.ENOENT): _failed("the kernel has no generic UDP encapsulation", "modprobe fou"),
    (OpenListener, errno.EADDRINUSE): _failed(
        "another program has this UDP port", "choose another port, here and as `tunnel.port` in the site file"
    ),
    (CloseListener, errno.ENOENT): _GONE,
    (CloseListener, errno.EINVAL): _GONE,
    (AddRule, errno.EEXIST): Meaning(Result.ALREADY, "was there already"),
    (AddRule, errno.EOPNOTSUPP): _NO_POLICY_ROUTING,
    (AddRule, errno.EAFNOSUPPORT): _NO_POLICY_ROUTING,
    (RemoveRule, errno.ENOENT): _GONE,
    (AddRoute, errno.EEXIST): _TABLE_TAKEN,
    **dict.fromkeys(
        [
            (kind, number)
            for kind in (AddRoute, ReplaceRoute)
            for number in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EINVAL)
        ],
        _NO_WAY_TO_GATEWAY,
    ),
    (AddRoute, errno.ENODEV): _NO_DEVICE,
    (ReplaceRoute, errno.ENODEV): _NO_DEVICE,
    (RemoveRoute, errno.ESRCH): _GONE,
    (WriteSysctl, errno.ENOENT): _failed("this kernel has no such sysctl"),
    (WriteSysctl, errno.EACCES): _failed("only root may write it", AS_ROOT),
    (WriteSysctl, errno.EPERM): _failed("only root may write it", AS_ROOT),
    (WriteSysctl, errno.EROFS): _failed(
        "/proc/sys is read-only here",
        "in a container, start it privileged or set the sysctl from its host",
    ),
    (WriteSysctl, errno.EINVAL): _failed("the kernel refuses this value"),
    (WriteSysctl, errno.ERANGE): _failed("the kernel refuses this value: out of range"),
    (ReplaceTable, errno.EPERM): _failed("nftables requires CAP_NET_ADMIN", AS_ROOT),
    (ReplaceTable, errno.EOPNOTSUPP): _failed("the kernel's nftables lacks what this takes", NFT_MODULES),
    (ReplaceTable, errno.EPROTONOSUPPORT): _failed("the kernel has no nftables", NFT_MODULES),
    (ReplaceTable, errno.ENOENT): _failed("the kernel's nftables lacks what this takes", NFT_MODULES),
}

_KINDS: dict[int, type[KernelError]] = {
    errno.EPERM: NotPermitted,
    errno.EACCES: NotPermitted,
    errno.EAFNOSUPPORT: NotSupported,
    errno.EPROTONOSUPPORT: NotSupported,
    errno.EOPNOTSUPP: NotSupported,
}


def failure(action: Action, number: int, text: str = "") -> Outcome:
    """Return the outcome of an action that the kernel refused.

    Args:
        action: what was refused.
        number: the kernel's error number (positive).
        text: what the kernel itself said, if anything.
    """
    meaning = meaning_of(type(action), number)
    failed = meaning.result is Result.FAILED
    message = f"{meaning.message} (kernel: {text})" if text and failed else meaning.message
    return Outcome(action, meaning.result, number, message, meaning.hint)


def meaning_of(kind: type[Action] | None, number: int) -> Meaning:
    """Return the row for an error number of a kind of action."""
    row = TABLE.get((kind, number)) or TABLE.get((None, number))
    return row or _failed(os.strerror(number).lower())


def error(kind: type[Action] | None, operation: str, target: str, number: int, text: str = "") -> KernelError:
    """Return the exception for an error number, of the class that says what its catcher can do."""
    meaning = meaning_of(kind, number)
    message = f"cannot {operation}: {meaning.message}" + (f" (kernel: {text})" if text else "")
    return _KINDS.get(number, KernelError)(operation, target, number, message, meaning.hint or None)


def read_error(what: str, cause: OSError) -> KernelError:
    """Return the exception for something that cannot be read; `cause` without errno speaks for itself."""
    operation = f"read {what}"
    if cause.errno:
        return error(None, operation, "", cause.errno)
    return KernelError(operation, "", 0, f"cannot {operation}: {cause.strerror}", "try again")
