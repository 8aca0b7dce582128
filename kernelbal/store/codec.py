"""Values to JSON and back, by their types: for records on disk and for messages between processes.

A type is declared once, in the model, and that declaration is the format: named tuples are arrays, data
classes are objects, addresses are text, and a mapping whose keys are no text is a list of rows. Decoding is
strict: no bool passes for an int, ranges and lengths of `msgspec.Meta` hold, and an error names the place,
such as `$.services[3][1]`.
"""

from __future__ import annotations

import binascii
import dataclasses
import functools
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import GenericAlias
from typing import Annotated, Any, Final, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from kernelbal.errors import KernelbalError
from kernelbal.model.address import Address

T = TypeVar("T")
D = TypeVar("D", bound=msgspec.Struct)

_MAX_QUOTED: Final = 300
"""Longest complaint of a decoder that is passed on, in characters: it may quote what it read."""


class Malformed(KernelbalError):
    """Bytes are not what the codec of their type writes; the message names the place."""


class Codec(Generic[T]):
    """How values of one type become bytes and come back.

    Args:
        kind: the type.
        deterministic: sets and names are sorted, so that equal values give equal bytes.
    """

    def __init__(self, kind: type[T], *, deterministic: bool = False) -> None:
        shape = _shape(kind)
        self._dump, self._load = shape.dump, shape.load
        self._encoder = msgspec.json.Encoder(
            enc_hook=_encode_address, order="deterministic" if deterministic else None
        )
        self._decoder = msgspec.json.Decoder(shape.wire, dec_hook=_decode_address)

    def encode(self, value: T) -> bytes:
        """Return a value as JSON, without a line end in it."""
        return self._encoder.encode(value if self._dump is None else self._dump(value))

    def decode(self, data: bytes) -> T:
        """Return the value.

        Raises:
            Malformed: it is no JSON, or not of this type.
        """
        try:
            read = self._decoder.decode(data)
            value: T = read if self._load is None else self._load(read)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise Malformed(_bounded(str(error))) from error
        return value


@dataclasses.dataclass(frozen=True, slots=True)
class _Shape:
    """How a type is written.

    Attributes:
        wire: the type that the decoder reads.
        load: makes a value of what was read; None where that is the value.
        dump: makes what is written of a value; None where that is the value.
    """

    wire: Any
    load: Callable[[Any], Any] | None = None
    dump: Callable[[Any], Any] | None = None


def _shape(kind: object) -> _Shape:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner = _shape(arguments[0])
        return _Shape(Annotated[(inner.wire, *arguments[1:])], inner.load, inner.dump)
    if origin is not None and issubclass(_class_of(origin), Mapping) and _class_of(arguments[0]) is not str:
        return _rows(arguments[0], _shape(arguments[1]))
    return _mirror(kind) if isinstance(kind, type) and dataclasses.is_dataclass(kind) else _Shape(kind)


def _class_of(kind: object) -> type:
    """Return the class below annotations; `object` for what is none, such as a union."""
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return bare if isinstance(bare, type) else object


def _rows(key: object, value: _Shape) -> _Shape:
    """Return the shape of a mapping as a list of rows."""
    load_value, dump_value = value.load, value.dump

    def load(rows: list[tuple[Any, Any]]) -> dict[Any, Any]:
        found = dict(rows) if load_value is None else {name: load_value(item) for name, item in rows}
        if len(found) != len(rows):
            raise ValueError("a key stands twice in the same list")
        return found

    def dump(mapping: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
        rows = mapping.items()
        return list(rows) if dump_value is None else [(name, dump_value(item)) for name, item in rows]

    return _Shape(GenericAlias(list, (GenericAlias(tuple, (key, value.wire)),)), load, dump)


def _mirror(kind: type) -> _Shape:
    """Return the shape of a data class: as it is, unless one of its fields is written as something else."""
    hints = get_type_hints(kind, include_extras=True)
    fields = dataclasses.fields(kind)
    shapes = {field.name: _shape(hints[field.name]) for field in fields}
    loads = {name: shape.load for name, shape in shapes.items() if shape.load is not None}
    dumps = {name: shape.dump for name, shape in shapes.items() if shape.dump is not None}
    if not loads:
        return _Shape(kind)
    members = [
        (field.name, shapes[field.name].wire, _default(field, dumps.get(field.name))) for field in fields
    ]
    wire = msgspec.defstruct(kind.__name__, members, forbid_unknown_fields=True)

    def load(read: msgspec.Struct) -> object:
        return kind(**{name: loads[name](v) if name in loads else v for name, v in _fields(read, shapes)})

    def dump(value: object) -> msgspec.Struct:
        return wire(**{name: dumps[name](v) if name in dumps else v for name, v in _fields(value, shapes)})

    return _Shape(wire, load, dump)


def _default(field: dataclasses.Field[Any], dump: Callable[[Any], Any] | None) -> Any:  # noqa: ANN401 - a marker of msgspec
    """Return what the mirror of a field says of its default."""
    if field.default_factory is not dataclasses.MISSING:
        make = field.default_factory
        return msgspec.field(default_factory=make if dump is None else lambda: dump(make()))
    return msgspec.field() if field.default is dataclasses.MISSING else msgspec.field(default=field.default)


def _fields(value: object, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(value, name)) for name in names)


def encode_document(document: msgspec.Struct) -> bytes:
    """Return a document of the control API as JSON."""
    return msgspec.json.encode(document)


def decode_document(kind: type[D], data: bytes) -> D:
    """Return a document of the control API.

    Raises:
        Malformed: it is no JSON, or not of this kind; the message names the field.
    """
    value: D = _codec_of(kind).decode(data)
    return value


@functools.cache
def _codec_of(kind: type[D]) -> Codec[D]:
    return Codec(kind)


def _bounded(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED else f"{text[: _MAX_QUOTED - 3]}..."


def _encode_address(value: object) -> str:
    if not isinstance(value, Address):
        raise NotImplementedError(f"no format for {type(value)}")
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value) if value else ""


def _decode_address(kind: type, value: object) -> Address:
    if kind is not Address:
        raise NotImplementedError(f"no format for {kind}")
    if not isinstance(value, str):
        raise ValueError("expected an IP address as text")
    if not value:
        return Address()
    try:
        # Bytes of another class than Address are written in base64; no record must be lost by that.
        packed = binascii.a2b_base64(value) if value.endswith("==") else _packed(value)
    except (OSError, ValueError):
        packed = b""
    if len(packed) not in (4, 16):
        raise ValueError(f"`{_bounded(value)}` is not an IP address")
    return Address(packed)


def _packed(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
