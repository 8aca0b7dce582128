"""IPVS messages as classes of pyroute2, with the bugs of its own classes (0.9) fixed.

What differs: the persistence netmask is raw, since IPv6 sends a prefix length; the tunnel port is in network
order; sync daemon and timeouts have types; replies to GET_INFO, whose attribute numbers collide with those of
the commands, have a class of their own. Nested classes must derive from `nla`: a subclass of pyroute2's own
silently keeps the old attribute map.
"""

from __future__ import annotations

from typing import Any

from pyroute2.netlink import genlmsg, nla
from pyroute2.netlink.generic import AsyncGenericNetlinkSocket, GenericNetlinkSocket
from pyroute2.netlink.generic.ipvs import GENL_NAME, ipvsmsg, ipvsstats


class CommandMessage(genlmsg):  # type: ignore[misc]  # pyroute2 ships no types
    """Any message but the reply to GET_INFO."""

    prefix = "IPVS_CMD_ATTR_"
    nla_map = (
        ("IPVS_CMD_ATTR_UNSPEC", "none"),
        ("IPVS_CMD_ATTR_SERVICE", "service"),
        ("IPVS_CMD_ATTR_DEST", "dest"),
        ("IPVS_CMD_ATTR_DAEMON", "daemon"),
        ("IPVS_CMD_ATTR_TIMEOUT_TCP", "uint32"),
        ("IPVS_CMD_ATTR_TIMEOUT_TCP_FIN", "uint32"),
        ("IPVS_CMD_ATTR_TIMEOUT_UDP", "uint32"),
    )

    class service(nla, ipvsstats):  # type: ignore[misc]  # pyroute2 ships no types
        """A service; the netmask is 4 raw bytes."""

        prefix = "IPVS_SVC_ATTR_"
        nla_map = tuple(
            (name, "cdata" if name == "IPVS_SVC_ATTR_NETMASK" else kind)
            for name, kind in ipvsmsg.service.nla_map
        )

        class flags(nla):  # type: ignore[misc]  # pyroute2 ships no types
            """Flags and which of them count."""

            fields = (("flags", "I"), ("mask", "I"))

    class dest(nla, ipvsstats):  # type: ignore[misc]  # pyroute2 ships no types
        """A destination; the tunnel port is in network order."""

        prefix = "IPVS_DEST_ATTR_"
        nla_map = tuple(
            (name, "be16" if name == "IPVS_DEST_ATTR_TUN_PORT" else kind)
            for name, kind in ipvsmsg.dest.nla_map
        )

    class daemon(nla):  # type: ignore[misc]  # pyroute2 ships no types
        """A sync daemon; its port is in host order, unlike every other."""

        prefix = "IPVS_DAEMON_ATTR_"
        nla_map = (
            ("IPVS_DAEMON_ATTR_UNSPEC", "none"),
            ("IPVS_DAEMON_ATTR_STATE", "uint32"),
            ("IPVS_DAEMON_ATTR_MCAST_IFN", "asciiz"),
            ("IPVS_DAEMON_ATTR_SYNC_ID", "uint32"),
            ("IPVS_DAEMON_ATTR_SYNC_MAXLEN", "uint16"),
            ("IPVS_DAEMON_ATTR_MCAST_GROUP", "ip4addr"),
            ("IPVS_DAEMON_ATTR_MCAST_GROUP6", "ip6addr"),
            ("IPVS_DAEMON_ATTR_MCAST_PORT", "uint16"),
            ("IPVS_DAEMON_ATTR_MCAST_TTL", "uint8"),
        )


class _AsyncSocket(AsyncGenericNetlinkSocket):  # type: ignore[misc]  # pyroute2 ships no types
    async def setup_endpoint(self) -> None:
        if getattr(self.local, "transport", None) is not None:
            return
        await super().setup_endpoint()
        await self.bind(GENL_NAME, CommandMessage)


class IpvsSocket(GenericNetlinkSocket):  # type: ignore[misc]  # pyroute2 ships no types
    """A pyroute2 socket that speaks IPVS, in the network namespace of the calling thread."""

    async_class = _AsyncSocket

    def request(self, command: int, attributes: list[tuple[str, Any]], flags: int) -> list[CommandMessage]:
        """Send one command and return the answers.

        Raises:
            pyroute2.netlink.exceptions.NetlinkError: the kernel refused it.
        """
        request = CommandMessage()
        request["cmd"] = command
        request["version"] = 1
        request["attrs"] = attributes
        return list(self.nlm_request(request, msg_type=self.prid, msg_flags=flags))
