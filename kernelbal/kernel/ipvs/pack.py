"""Actions of a plan, packed into the messages that perform them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from kernelbal.kernel.ipvs import wire
from kernelbal.kernel.netlink import message
from kernelbal.model.ipvs import DestinationAttributes, ServiceAttributes, ServiceKey
from kernelbal.plan.kinds.service_actions import (
    AddDestination,
    AddService,
    DestinationAction,
    EditDestination,
    EditService,
    QuiesceDestination,
    RemoveDestination,
    RemoveService,
    ServiceAction,
)


class Packer:
    """Packs the actions of one batch; what repeats from one to the next is packed once."""

    def __init__(self, family: int) -> None:
        self._family = family
        self._services: dict[ServiceKey, bytes] = {}
        self._service_tails: dict[tuple[int, ServiceAttributes], bytes] = {}
        self._destination_tails: dict[DestinationAttributes, bytes] = {}

    def pack(self, actions: Sequence[ServiceAction | DestinationAction], first: int) -> list[bytes]:
        """Return one request per action, numbered from `first` on."""
        messages = []
        last, prefix = None, b""
        for sequence, action in enumerate(actions, first):
            if type(action) is not AddDestination:
                messages.append(self._pack(action, sequence))
                continue
            service, key, attributes = action  # of these there are most
            if service is not last:
                last, prefix = service, self._service_of(service) + wire.DEST_HEADER
            body = prefix + wire.destination_key(key) + self._tail_of(attributes)
            messages.append(message(self._family, wire.CMD_NEW_DEST, body, sequence))
        return messages

    def _pack(self, action: ServiceAction | DestinationAction, sequence: int) -> bytes:
        match action:
            case AddService(key, attributes):
                return self._service(wire.CMD_NEW_SERVICE, key, attributes, sequence)
            case EditService(key, _, attributes):
                return self._service(wire.CMD_SET_SERVICE, key, attributes, sequence)
            case RemoveService(key):
                return message(self._family, wire.CMD_DEL_SERVICE, self._service_of(key), sequence)
            case _:
                return self._pack_destination(action, sequence)

    def _pack_destination(
        self,
        action: AddDestination | EditDestination | QuiesceDestination | RemoveDestination,
        sequence: int,
    ) -> bytes:
        packed = wire.destination_key(action.key)
        match action:
            case AddDestination(service, _, attributes):
                return self._destination(wire.CMD_NEW_DEST, service, packed, attributes, sequence)
            case EditDestination(service, _, _, attributes):
                return self._destination(wire.CMD_SET_DEST, service, packed, attributes, sequence)
            case QuiesceDestination(service, _, old, _):
                return self._destination(wire.CMD_SET_DEST, service, packed, old._replace(weight=0), sequence)
            case RemoveDestination(service):
                body = self._service_of(service) + wire.DEST_KEY_HEADER + packed
                return message(self._family, wire.CMD_DEL_DEST, body, sequence)
            case _:
                assert_never(action)

    def _service(self, command: int, key: ServiceKey, attributes: ServiceAttributes, sequence: int) -> bytes:
        known = (key.family, attributes)
        tail = self._service_tails.get(known)
        if tail is None:
            tail = self._service_tails[known] = wire.service_attributes(*known)
        return message(self._family, command, wire.service(wire.service_key(key) + tail), sequence)

    def _destination(
        self,
        command: int,
        service: ServiceKey,
        packed_key: bytes,
        attributes: DestinationAttributes,
        sequence: int,
    ) -> bytes:
        body = self._service_of(service) + wire.DEST_HEADER + packed_key + self._tail_of(attributes)
        return message(self._family, command, body, sequence)

    def _service_of(self, key: ServiceKey) -> bytes:
        packed = self._services.get(key)
        if packed is None:
            packed = self._services[key] = wire.service(wire.service_key(key))
        return packed

    def _tail_of(self, attributes: DestinationAttributes) -> bytes:
        tail = self._destination_tails.get(attributes)
        if tail is None:
            tail = self._destination_tails[attributes] = wire.destination_attributes(attributes)
        return tail
