"""The speaker's part of the kernel: sockets of VRRP, addresses with a lifetime, announcements."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Final, Self

from kernelbal.kernel.addresses import observe_addresses, pack_address, perform_addresses
from kernelbal.kernel.announce import announce
from kernelbal.kernel.links import IFF_RUNNING, LinkDetail, read_link_details
from kernelbal.kernel.rtnetlink import NLM_F_CREATE, NLM_F_REPLACE, RTM_NEWADDR, Request, RtNetlink
from kernelbal.kernel.vrrp_wire import VrrpWire
from kernelbal.kernel.watch import subscribe_links_and_addresses
from kernelbal.model.network import IFA_PROTO_SPEAKER
from kernelbal.plan.action import DONE
from kernelbal.plan.kinds.addresses import RemoveAddress
from kernelbal.runtime.speaker.speaker import Held, Surroundings
from kernelbal.vrrp.packet import GROUPS
from kernelbal.vrrp.plan import RolePlan

LOG: Final = logging.getLogger(__name__)


class LinuxSpeakerKernel:
    """Everything is opened before the first advertisement: nothing is left to fail in a takeover."""

    def __init__(self, plan: RolePlan) -> None:
        """Open what is common to all instances; `look` opens the socket of each.

        Raises:
            KernelError: a socket is refused.
        """
        self.wires: dict[str, VrrpWire] = {}
        self._plan = plan
        self._devices: Mapping[str, LinkDetail] = {}
        with ExitStack() as stack:
            self._rtnetlink = stack.enter_context(RtNetlink.open())
            self.notices = stack.enter_context(closing(subscribe_links_and_addresses()))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the sockets; addresses stay."""
        for wire in self.wires.values():
            wire.close()
        self._stack.close()

    def look(self) -> Surroundings:
        """Return what the host has; a device that is another one now gets another socket.

        Raises:
            KernelError: it cannot be read, or a socket is refused.
        """
        details = read_link_details(self._rtnetlink)
        self._devices = {each.link.name: each for each in details}
        for each in self._plan.instances:
            detail = self._devices.get(each.device)
            wire = self.wires.get(each.name)
            if wire is not None and (detail is None or wire.ifindex != detail.link.ifindex):
                self.wires.pop(each.name).close()
                wire = None
            if wire is None and detail is not None:
                self.wires[each.name] = VrrpWire.open(each.device, detail.link.ifindex, each.source)
        addresses = observe_addresses(self._rtnetlink, [detail.link for detail in details])
        return Surroundings(
            {name: bool(detail.flags & IFF_RUNNING) for name, detail in self._devices.items()},
            {(each.key.device, each.key.address) for each in addresses},
        )

    def send(self, name: str, payload: bytes) -> None:
        """Send an advertisement; while a device is down or gone none can be sent."""
        wire = self.wires.get(name)
        if wire is None:
            return
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
