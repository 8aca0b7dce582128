"""The valid part of a faulty document, so that its conflicts can be reported along with its faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pydantic import ValidationError

from kernelbal.config.checks.subject import Context, context_of
from kernelbal.config.document import Data
from kernelbal.config.finding import Finding, Path
from kernelbal.model.fields import DOCUMENT
from kernelbal.model.site import Site
from kernelbal.model.site.services import RealServer, VirtualService

_STAND_INS: dict[str, Data] = {"name": "faulty", "address": "0.0.0.0", "ports": 1, "forwarding": "nat"}  # noqa: S104 - never looked at: no check reads an invalid field
"""What stands for a required field without a valid value."""

_ALL_FIELDS = frozenset(VirtualService.model_fields)


class _Salvage:
    """Takes the faulty parts out of a document, remembering which."""

    def __init__(self, data: dict[str, Data]) -> None:
        self.data = data
        services = data.get("virtual_services")
        self.services: list[Data] = services if isinstance(services, list) else []
        self.sections: set[str] = set()
        self.fields: defaultdict[int, set[str]] = defaultdict(set)
        self.servers: defaultdict[int, set[int]] = defaultdict(set)

    def remove(self, path: Path) -> None:
        """Take out what a fault at `path` makes meaningless."""
        match path:
            case ("virtual_services", int(index)):
                self.fields[index] |= _ALL_FIELDS
            case ("virtual_services", int(index), "real_servers", int(server), *rest):
                self._server(index, server, rest)
            case ("virtual_services", int(index), str(field), *_):
                self._field(index, field)
            case ("networks", str(name), *_) if isinstance(networks := self.data.get("networks"), dict):
                self.sections.add("networks")
                networks.pop(name, None)
            case (str(section), *_):
                self.sections.add(section)
                self.data.pop(section, None)
            case _:
                self.data.clear()  # the document as a whole: nothing is left to look at

    def _server(self, index: int, server: int, rest: list[str | int]) -> None:
        item = self._list(index)[server]
        if isinstance(item, dict) and rest and rest[0] not in RealServer.model_fields:
            item.pop(str(rest[0]), None)
        else:
            self.servers[index].add(server)

    def _field(self, index: int, field: str) -> None:
        service = self._service(index)
        service.pop(field, None)
        if field in _ALL_FIELDS:
            self.fields[index].add(field)

    def close(self) -> dict[int, list[int]]:
        """Fill the gaps, so that the model accepts what is left; return which real servers are left."""
        left = {index: self._without(index, servers) for index, servers in self.servers.items()}
        for index in range(len(self.services)):
            if self.fields[index] >= _ALL_FIELDS:
                self.services[index] = {}
            service = self._service(index)
            missing = {key: value for key, value in _STAND_INS.items() if key not in service}
            self.fields[index].update(missing)
            service.update(missing)
        return left

    def _without(self, index: int, servers: set[int]) -> list[int]:
        items = self._list(index)
        left = [place for place in range(len(items)) if place not in servers]
        self._service(index)["real_servers"] = [items[place] for place in left]
        return left

    def _service(self, index: int) -> dict[str, Data]:
        item = self.services[index]
        return item if isinstance(item, dict) else {}

    def _list(self, index: int) -> list[Data]:
        items = self._service(index).get("real_servers")
        return items if isinstance(items, list) else []


def valid_part(data: Data, faults: Iterable[Finding]) -> Context | None:
    """Return what the checks can look at in a faulty document, or None when that is nothing.

    Args:
        data: the document; it is changed.
        faults: everything that the model found.
    """
    if not isinstance(data, dict):
        return None
    salvage = _Salvage(data)
    for fault in faults:
        salvage.remove(fault.path)
    indices = salvage.close()
    try:
        site = Site.model_validate(data, context=DOCUMENT)
    except ValidationError:
        return None
    invalid_fields = {index: frozenset(fields) for index, fields in salvage.fields.items()}
    return context_of(site, frozenset(salvage.sections), invalid_fields, indices)
