"""The types of which documents are made: durations, addresses, ports, names.

Each checks one value, and knows how messages and the reference call its values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from kernelbal.model.address import Address, format_address, in_network, parse_address
from kernelbal.model.units import ALL_PORTS, PortRange, format_duration, parse_duration, parse_ports


class Model(BaseModel):
    """A mapping in a document: unknown keys are refused, values never change.

    A secret is a field with `repr=False`; no output has its value, be it valid or not.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


def _address(value: object) -> Address:
    if isinstance(value, bytes):
        return Address(value)
    if not isinstance(value, str):
        raise ValueError('an IP address is text such as `192.0.2.10` or `"2001:db8::10"`')
    return parse_address(value)


@dataclass(frozen=True, slots=True)
class Wording:
    """How messages and the reference call the values of a type.

    Attributes:
        mapping: whether a model's values are written as a mapping with its keys, too, and not as text alone.
    """

    text: str
    mapping: bool = False


DOCUMENT: Final = "document"
"""Validation context of values that a person wrote: there a number is no duration, it lacks a unit."""


def _duration(value: object, info: ValidationInfo) -> float:
    if isinstance(value, float) and info.context != DOCUMENT:
        return value
    if not isinstance(value, str):
        raise ValueError(f"`{value}` has no unit; write a duration such as `300ms`, `9s`, `5m`, `1h`")
    return parse_duration(value)


MAX_ENTRIES = 256
"""Most entries of any list or mapping other than virtual services, real servers and ports."""
MAX_PORT_RANGES = 1000
"""Most ports and ranges of a virtual service."""
MAX_SYSCTL_CHARACTERS = 64
"""Longest value of a sysctl that is text, such as a list of processors."""


def _few(value: object) -> object:
    if isinstance(value, dict | list | tuple) and len(value) > MAX_ENTRIES:
        raise ValueError(f"{len(value)} entries; the limit is {MAX_ENTRIES}")
    return value


Few = BeforeValidator(_few)
"""Bounds the number of errors that validation collects; longer lists are `FailFast` and stop at the first."""


def _ports(value: object) -> object:
    if value == "all":
        return (ALL_PORTS,)
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise ValueError("no ports")
    if len(items) > MAX_PORT_RANGES:
        raise ValueError(f"{len(items)} ports and ranges; the limit is {MAX_PORT_RANGES}")
    return items


def _port_range(value: object) -> PortRange:
    if isinstance(value, PortRange):
        return value
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"`{value}` is not a port or a range such as `8000-8010`")
    return parse_ports(value)


def _sysctl(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("a sysctl is a whole number or text")
    if isinstance(value, str) and (not value.isprintable() or len(value) > MAX_SYSCTL_CHARACTERS):
        raise ValueError(f"a sysctl has one line of at most {MAX_SYSCTL_CHARACTERS} characters")
    return value


_PORT_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 65535},
        {"type": "string", "pattern": "^[0-9]+(-[0-9]+)?$"},
    ]
}

Whole = Annotated[int, Strict()]
"""A whole number; text such as `"80"` is refused."""

Switch = Annotated[bool, Strict()]
"""`true` or `false`; nothing else is taken for one."""

IpAddress = Annotated[
    Address,
    InstanceOf(),
    BeforeValidator(_address),
    PlainSerializer(format_address, return_type=str),
    Wording('an IPv4 or IPv6 address, such as `192.0.2.10` or `"2001:db8::10"`'),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
]
"""A numeric IPv4 or IPv6 address; an `Address` after validation."""

Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str),
    Wording("a duration with its unit, such as `300ms`, `9s`, `5m`, `1h`, `2d`"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"}),
]
"""A duration with its unit; seconds after validation."""

_Port = Annotated[
    PortRange, BeforeValidator(_port_range), Wording("a port 1-65535, or a range such as `8000-8010`")
]

Ports = Annotated[
    tuple[_Port, ...],
    BeforeValidator(_ports),
    Wording("`all`, a port 1-65535, or a list of ports and ranges such as `8000-8010`"),
    PlainSerializer(lambda ranges: "all" if ranges == (ALL_PORTS,) else [str(r) for r in ranges]),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "all"},
                _PORT_SCHEMA,
                {"type": "array", "minItems": 1, "items": _PORT_SCHEMA},
            ]
        }
    ),
]
"""`all`, one port, or a list of ports and `low-high` ranges."""

Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"),
    Wording("a name of letters, digits, `_`, `.` and `-`, 63 at most, the first a letter or digit"),
]
"""A name of letters, digits, `_`, `.` and `-`, 63 characters at most."""

Text = Annotated[
    str,
    Field(max_length=1024, pattern=r"^[^\r\n\x00]*$"),
    Wording("one line of text, 1024 characters at most"),
]
"""One line of text."""

Device = Annotated[
    str,
    Field(pattern=r"^[^/\s:.][^/\s:]{0,14}$"),
    Wording("a network device, 15 characters at most, such as `eth0`"),
]
"""Name of a network device (`dev_valid_name` in the kernel's `net/core/dev.c`)."""

SysctlValue = Annotated[int | str, BeforeValidator(_sysctl), Wording("a whole number or text")]
"""Value of a sysctl."""


class InterfaceAddress(Model):
    """An address with the prefix length of its subnet, written `192.0.2.10/24`."""

    address: IpAddress
    prefix: int

    def contains(self, address: Address) -> bool:
        """Return whether `address` lies in this subnet."""
        return in_network(address, self.address, self.prefix)


def _interface_address(value: object) -> object:
    if not isinstance(value, str):
        return value
    text, slash, prefix = value.partition("/")
    address = parse_address(text)
    bits = len(address) * 8
    if not slash:
        raise ValueError(f"`{value}` lacks the prefix length of its subnet; write `{text}/{bits - 8}`")
    if not (prefix.isascii() and prefix.isdigit() and 1 <= int(prefix) <= bits):
        raise ValueError(f"`{value}` needs a prefix length of 1-{bits}")
    return InterfaceAddress(address=address, prefix=int(prefix))


SharedAddress = Annotated[
    InterfaceAddress,
    BeforeValidator(_interface_address),
    PlainSerializer(lambda value: f"{format_address(value.address)}/{value.prefix}"),
    Wording("an address with the prefix length of its subnet, such as `192.0.2.10/24`"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$"}),
]
"""`address/prefix`."""
