"""Values to JSON and back, by their types: for records on disk and for messages between processes.

A type is declared once, in the model, and that declaration is the format: named tuples are arrays, data
classes are objects, addresses are text, and a mapping whose keys are no text is a list of rows. Decoding is
strict: nothing may be missing, whatever default the type has, unless its field is `LEFT_OUT_IF_DEFAULT`, and
nothing may be there that it does not name; no bool passes for an int, ranges and lengths of `msgspec.Meta`
hold, an address is empty only where its type says so, and an error names the place, such as
`$.services[3][1]`. Structs of msgspec, the documents of the API, are read as msgspec reads them.
"""

from __future__ import annotations

import binascii
import dataclasses
import functools
import math
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Final, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from kernelbal.errors import KernelbalError
from kernelbal.model.address import MAY_BE_EMPTY, Address

S = TypeVar("S")
T = TypeVar("T")
D = TypeVar("D", bound=msgspec.Struct)

LEFT_OUT_IF_DEFAULT: Final = {"left out if default": True}
"""Metadata of a field of a data class: it is not written where it has its default, and may be missing."""
_MAX_QUOTED: Final = 300
"""Longest complaint of a decoder that is passed on, in characters: it may quote what it read."""


class _AddressOrEmpty(Address):
    """What the decoder reads where an address may be empty."""

    __slots__ = ()


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
        self._dump, self._load, self._check = shape.dump, shape.load, shape.check
        self._encoder = msgspec.json.Encoder(
            enc_hook=_encode_address, order="deterministic" if deterministic else None
        )
        self._decoder = msgspec.json.Decoder(shape.wire, dec_hook=_decode_address)

    def encode(self, value: T) -> bytes:
        """Return a value as JSON, without a line end in it.

        Raises:
            ValueError: a number in it is infinite or none; the message names the part.
        """
        if self._check is not None:
            self._check(value)
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
        check: refuses a value that JSON cannot show; None where every value can be shown.
    """

    wire: Any
    load: Callable[[Any], Any] | None = None
    dump: Callable[[Any], Any] | None = None
    check: Callable[[Any], None] | None = None


_STAND_INS: dict[type, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {}


def write_as(kind: type[T], stand_in: type[S], dump: Callable[[T], S], load: Callable[[S], T]) -> None:
    """Let values of a type be written as those of another one: for types whose parts are known elsewhere."""
    _STAND_INS[kind] = (stand_in, dump, load)


def _stand_in(kind: type) -> _Shape:
    stand_in, dump, load = _STAND_INS[kind]
    inner = _shape(stand_in)
    inner_load, inner_dump, inner_check = inner.load, inner.dump, inner.check
    return _Shape(
        inner.wire,
        load if inner_load is None else lambda read: load(inner_load(read)),
        dump if inner_dump is None else lambda value: inner_dump(dump(value)),
        None if inner_check is None else lambda value: inner_check(dump(value)),
    )


def _shape(kind: Any) -> _Shape:  # noqa: ANN401 - any type expression
    if isinstance(kind, type) and kind in _STAND_INS:
        return _stand_in(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner = _shape(arguments[0])
        wire = _AddressOrEmpty if MAY_BE_EMPTY in arguments[1:] else Annotated[(inner.wire, *arguments[1:])]
        return dataclasses.replace(inner, wire=wire)
    if kind is float:
        return _Shape(kind, check=_finite)
    if origin in (Union, UnionType):
        return _union([_shape(each) for each in arguments if each is not NoneType], kind)
    if origin is not None and issubclass(_class_of(origin), Mapping):
        return (_names if _class_of(arguments[0]) is str else _rows)(arguments[0], _shape(arguments[1]))
    if origin in (list, frozenset) or (origin is tuple and arguments[1:] == (...,)):
        return _items(origin, _shape(arguments[0]), arguments[1:])
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _mirror(kind)
    return _named_tuple(kind) if isinstance(kind, type) and hasattr(kind, "_fields") else _Shape(kind)


def _class_of(kind: object) -> type:
    """Return the class below annotations; `object` for what is none, such as a union."""
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return bare if isinstance(bare, type) else object


def _union(members: list[_Shape], kind: Any) -> _Shape:  # noqa: ANN401 - any type expression
    """Return the shape of one type or None; of other unions, as msgspec knows them."""
    if len(members) != 1:
        return _Shape(kind)
    (one,) = members
    load, dump, check = (
        None if use is None else functools.partial(_unless_none, use)
        for use in (one.load, one.dump, one.check)
    )
    return _Shape(one.wire | None, load, dump, check)


def _unless_none(use: Callable[[Any], Any], value: object) -> Any:  # noqa: ANN401 - what `use` makes
    return None if value is None else use(value)


def _items(origin: type, item: _Shape, rest: tuple[Any, ...]) -> _Shape:
    """Return the shape of a list, a set, or a tuple of any length."""
    load, dump, check = item.load, item.dump, item.check
    return _Shape(
        GenericAlias(origin, (item.wire, *rest)),
        None if load is None else lambda read: origin(map(load, read)),
        None if dump is None else lambda value: list(map(dump, value)),
        None if check is None else functools.partial(_check_each, check),
    )


def _check_each(check: Callable[[Any], None], values: Iterable[Any]) -> None:
    for value in values:
        check(value)


def _names(_: object, value: _Shape) -> _Shape:
    """Return the shape of a mapping by text: an object."""
    load, dump, check = value.load, value.dump, value.check
    return _Shape(
        GenericAlias(dict, (str, value.wire)),
        None if load is None else lambda read: {name: load(item) for name, item in read.items()},
        None if dump is None else lambda mapping: {name: dump(item) for name, item in mapping.items()},
        None if check is None else lambda mapping: _check_each(check, mapping.values()),
    )


def _rows(key: object, value: _Shape) -> _Shape:
    """Return the shape of any other mapping: a list of rows."""
    load_value, dump_value, check = value.load, value.dump, value.check

    def load(rows: list[tuple[Any, Any]]) -> dict[Any, Any]:
        found = dict(rows) if load_value is None else {name: load_value(item) for name, item in rows}
        if len(found) != len(rows):
            raise ValueError("a key stands twice in the same list")
        return found

    def dump(mapping: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
        rows = mapping.items()
        return list(rows) if dump_value is None else [(name, dump_value(item)) for name, item in rows]

    row = GenericAlias(tuple, (_shape(key).wire, value.wire))
    check_all = None if check is None else lambda mapping: _check_each(check, mapping.values())
    return _Shape(GenericAlias(list, (row,)), load, dump, check_all)


def _named_tuple(kind: Any) -> _Shape:  # noqa: ANN401 - a class of named tuples
    """Return the shape of a named tuple: an array that has every part.

    What is decoded is of a subclass without defaults; it is equal to, and hashes as, what `kind` makes.

    Raises:
        TypeError: a part has another form on the wire; only a data class may have such parts.
    """
    shapes = _parts(kind, kind._fields)
    odd = [name for name, shape in shapes.items() if shape.load is not None]
    if odd:
        raise TypeError(f"{kind.__name__}.{odd[0]} is in a named tuple, but not written as it is")
    parts = {name: shape.wire for name, shape in shapes.items()}
    body = {"__slots__": (), "__annotations__": parts, "_field_defaults": {}, "__module__": kind.__module__}
    return _Shape(type(kind.__name__, (kind,), body), check=_check_parts(shapes))


def _mirror(kind: Any) -> _Shape:  # noqa: ANN401 - a data class
    """Return the shape of a data class: an object that has every part and no other."""
    fields = dataclasses.fields(kind)
    shapes = _parts(kind, [field.name for field in fields])
    loads = {name: shape.load for name, shape in shapes.items() if shape.load is not None}
    dumps = {name: shape.dump for name, shape in shapes.items() if shape.dump is not None}
    defaults = {field.name: _default(field) for field in fields if field.metadata == LEFT_OUT_IF_DEFAULT}
    members: list[Any] = [
        (name, Union[shape.wire, UnsetType], UNSET) if name in defaults else (name, shape.wire)  # noqa: UP007 - made at run time
        for name, shape in shapes.items()
    ]
    wire = msgspec.defstruct(kind.__name__, members, forbid_unknown_fields=True, kw_only=True)

    def load(read: msgspec.Struct) -> object:
        there = ((name, part) for name, part in _fields(read, shapes) if part is not UNSET)
        return kind(**{name: loads[name](part) if name in loads else part for name, part in there})

    def dump(value: object) -> msgspec.Struct:
        said = ((n, part) for n, part in _fields(value, shapes) if n not in defaults or part != defaults[n])
        return wire(**{name: dumps[name](part) if name in dumps else part for name, part in said})

    return _Shape(wire, load, dump if dumps or defaults else None, _check_parts(shapes))


def _default(field: dataclasses.Field[Any]) -> object:
    made_by = field.default_factory
    return field.default if made_by is dataclasses.MISSING else made_by()


def _parts(kind: type, names: Iterable[str]) -> dict[str, _Shape]:
    hints = get_type_hints(kind, include_extras=True)
    return {name: _shape(hints[name]) for name in names}


def _fields(value: object, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(value, name)) for name in names)


def _check_parts(shapes: Mapping[str, _Shape]) -> Callable[[Any], None] | None:
    checks = {name: shape.check for name, shape in shapes.items() if shape.check is not None}

    def check(value: object) -> None:
        for name, part in _fields(value, checks):
            try:
                checks[name](part)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error

    return check if checks else None


def _finite(value: float) -> None:
    """Refuse what `msgspec` would write as `null`."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")


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
    if not issubclass(kind, Address):
        raise NotImplementedError(f"no format for {kind}")
    if not isinstance(value, str):
        raise ValueError("expected an IP address as text")
    try:
        # Bytes of another class than Address are written in base64; no record must be lost by that.
        packed = binascii.a2b_base64(value) if value.endswith("==") else _packed(value)
    except (OSError, ValueError):
        packed = b""
    if len(packed) not in (4, 16) and (value or kind is Address):
        raise ValueError(f"`{_bounded(value)}` is not an IP address")
    return kind(packed)


def _packed(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
