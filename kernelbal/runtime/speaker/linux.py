"""The speaker's part of the kernel: sockets of VRRP, addresses with a lifetime, announcements."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Final, Self

from kernelbal.errors import NotSupported
from kernelbal.kernel.addresses import pack_address, perform_addresses
from kernelbal.kernel.announce import announce
from kernelbal.kernel.links import LinkDetail, read_link_details
from kernelbal.kernel.rtnetlink import NLM_F_CREATE, NLM_F_REPLACE, RTM_NEWADDR, Request, RtNetlink
from kernelbal.kernel.vrrp_wire import VrrpWire
from kernelbal.model.network import IFA_PROTO_SPEAKER
from kernelbal.plan.action import DONE
from kernelbal.plan.kinds.addresses import RemoveAddress
from kernelbal.runtime.speaker.speaker import Held
from kernelbal.vrrp.packet import GROUPS
from kernelbal.vrrp.plan import RolePlan

LOG: Final = logging.getLogger(__name__)


class LinuxSpeakerKernel:
    """Everything is opened before the first advertisement: nothing is left to fail in a takeover."""

    def __init__(
        self, rtnetlink: RtNetlink, wires: Mapping[str, VrrpWire], devices: Mapping[str, LinkDetail]
    ) -> None:
        self.wires = wires
        self._rtnetlink = rtnetlink
        self._devices = devices
        self._stack = ExitStack()

    @classmethod
    def open(cls, plan: RolePlan) -> Self:
        """Open the sockets of a plan.

        Raises:
            KernelError: one is refused.
            NotSupported: a device is not there.
        """
        with ExitStack() as stack:
            rtnetlink = stack.enter_context(RtNetlink.open())
            devices = {each.link.name: each for each in read_link_details(rtnetlink)}
            wires = {}
            for each in plan.instances:
                detail = devices.get(each.device)
                if detail is None:
                    remedy = f"create {each.device}, or name another one in node.yaml"
                    raise NotSupported("speak VRRP", each.device, 0, f"no device {each.device}", remedy)
                wire = VrrpWire.open(each.device, detail.link.ifindex, each.source)
                stack.callback(wire.close)
                wires[each.name] = wire
            made = cls(rtnetlink, wires, devices)
            made._stack = stack.pop_all()
        return made

    def close(self) -> None:
        """Close the sockets; addresses stay."""
        self._stack.close()

    def send(self, name: str, payload: bytes) -> None:
        """Send an advertisement; while a device is down none can be sent."""
        wire = self.wires[name]
        try:
            wire.send(payload, GROUPS[wire.family])
        except OSError as error:
            LOG.debug("vrrp.not_sent instance=%s error=%s", name, error.strerror)

    def hold(self, held: Held, lifetime_s: int) -> None:
        """Have addresses for a time."""
        requests = list(self._requests(held, lifetime_s))
        verdicts = self._rtnetlink.transmit(requests)
        for number, refusal in verdicts.refused.items():
            LOG.error("vrrp.address_refused address=%s errno=%s", held[number][0], refusal.errno)

    def _requests(self, held: Held, lifetime_s: int) -> Iterator[Request]:
        flags = NLM_F_CREATE | NLM_F_REPLACE
        for key, attributes in held:
            ifindex = self._devices[key.device].link.ifindex if key.device in self._devices else 0
            payload = pack_address(key, ifindex, attributes, IFA_PROTO_SPEAKER, lifetime_s)
            yield Request(RTM_NEWADDR, flags, payload)

    def release(self, held: Held) -> None:
        """Remove addresses; one that is not there is no error."""
        for outcome in perform_addresses(self._rtnetlink, [RemoveAddress(key) for key, _ in held]):
            if outcome.result not in DONE:
                LOG.error("vrrp.address_stays action=%s error=%s", outcome.action, outcome.message)

    def announce(self, held: Held) -> None:
        """Announce addresses on their devices."""
        for key, why in announce([key for key, _ in held], self._devices).items():
            LOG.warning("vrrp.not_announced address=%s error=%s", key, why)
