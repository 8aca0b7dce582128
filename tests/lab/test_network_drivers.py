"""The network drivers on a real kernel, with `ip` and `nft` as oracles."""

import errno
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kernelbal.errors import KernelError, NotPermitted
from kernelbal.kernel import modules
from kernelbal.kernel.addresses import AddressAction, observe_addresses, perform_addresses
from kernelbal.kernel.announce import announce
from kernelbal.kernel.links import LinkDetail, observe_links, perform_links, read_link_details
from kernelbal.kernel.linux import LinuxKernel
from kernelbal.kernel.nftables import Nftables
from kernelbal.kernel.routes import observe_routes, route_to
from kernelbal.kernel.rtnetlink import RtNetlink
from kernelbal.kernel.sysctl import perform_sysctls, read_sysctls
from kernelbal.kernel.tables import perform_tables
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.linuxns import create_namespace, delete_namespace, inside
from kernelbal.lab.namespaces import Host
from kernelbal.model.address import parse_address
from kernelbal.model.network import AddressAttributes, AddressKey, Link, LinkState, ObservedAddress, Route
from kernelbal.model.nft import EMPTY_TABLE, NftTable
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.classifier import ALL_PORTS, build_table
from kernelbal.plan.kind import DesiredState
from kernelbal.plan.kinds.addresses import ADDRESSES, AddAddress, RemoveAddress, ReplaceAddress
from kernelbal.plan.kinds.links import LINKS, EnsureLink, RemoveLink
from kernelbal.plan.kinds.sysctls import SYSCTLS, WriteSysctl
from kernelbal.plan.kinds.tables import ReplaceTable
from kernelbal.plan.nft_text import render
from kernelbal.reconcile.round import Reconciler, RoundReport
from tests.support.fake_store import MemoryStore
from tests.support.privileges import as_nobody

pytestmark = [pytest.mark.needs_ipvs, pytest.mark.interop]

NAMESPACE = "netdrv"
PLAIN = AddressAttributes()
VIRTUAL6 = AddressAttributes(no_dad=True, deprecated=True)
TCP, UDP, SCTP = 6, 17, 132
ONE_JIFFY_S = 0.02
ETH_P_ALL = 0x0003


def ip_json(*arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(["ip", "-json", *arguments], check=True, capture_output=True, text=True)
    return list(json.loads(done.stdout or "[]"))


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def nft(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(["nft", *arguments], input=stdin, check=True, capture_output=True, text=True)
    return done.stdout


def key(text: str, device: str = "veth0") -> AddressKey:
    address, _, prefix = text.partition("/")
    return AddressKey(device, parse_address(address), int(prefix))


@pytest.fixture
def namespace() -> Iterator[None]:
    """A fresh namespace with a veth pair, both ends up."""
    create_namespace(NAMESPACE)
    try:
        with inside(NAMESPACE):
            ip("link", "set", "lo", "up")
            ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
            ip("link", "set", "veth0", "up")
            ip("link", "set", "veth1", "up")
            yield
    finally:
        delete_namespace(NAMESPACE)


@pytest.fixture
def rtnetlink(namespace: None) -> Iterator[RtNetlink]:
    with RtNetlink.open() as opened:
        yield opened


@pytest.fixture
def tables(namespace: None) -> Nftables:
    return Nftables.open()


def nobody_to_tell(_: Sequence[AddressKey], __: Mapping[str, LinkDetail]) -> dict[AddressKey, str]:
    return {}


def perform(sock: RtNetlink, *actions: AddressAction) -> list[Outcome]:
    return perform_addresses(sock, actions, nobody_to_tell)


def release() -> RoundReport:
    """Take back every address that bears our mark, by a round of the engine."""
    with LinuxKernel() as kernel:
        reconciler = Reconciler(kernel, MemoryStore(), lambda: 0.0, (LINKS, SYSCTLS, ADDRESSES))
        return reconciler.perform(reconciler.prepare(DesiredState()))


def results(outcomes: Sequence[Outcome]) -> list[Result]:
    return [outcome.result for outcome in outcomes]


def observed(sock: RtNetlink) -> dict[AddressKey, ObservedAddress]:
    return {each.key: each for each in observe_addresses(sock, observe_links(sock))}


class TestAddresses:
    def test_added_address_is_marked_as_ours(self, rtnetlink: RtNetlink) -> None:
        ip("address", "add", "192.0.2.1/24", "dev", "veth0")
        ours, theirs = key("192.0.2.10/32"), key("192.0.2.1/24")
        assert results(perform(rtnetlink, AddAddress(ours, PLAIN))) == [Result.DONE]
        found = observed(rtnetlink)
        assert found[ours] == ObservedAddress(ours, PLAIN, ours=True)
        assert found[theirs] == ObservedAddress(theirs, PLAIN, ours=False)

    @pytest.mark.parametrize("no_dad", [True, False])
    @pytest.mark.parametrize("deprecated", [True, False])
    @pytest.mark.parametrize("no_prefix_route", [True, False])
    def test_ipv6_attributes_come_back(
        self, rtnetlink: RtNetlink, *, no_dad: bool, deprecated: bool, no_prefix_route: bool
    ) -> None:
        wanted = AddressAttributes(no_dad, deprecated, no_prefix_route)
        where = key("2001:db8::10/64")
        perform(rtnetlink, AddAddress(where, wanted))
        assert observed(rtnetlink)[where] == ObservedAddress(where, wanted, ours=True)
        on_link = [route["dst"] for route in ip_json("-6", "route", "show", "dev", "veth0")]
        assert ("2001:db8::/64" in on_link) is not no_prefix_route

    def test_virtual_ipv6_address_is_usable_at_once_and_no_source(self, rtnetlink: RtNetlink) -> None:
        ip("address", "add", "2001:db8::1/64", "dev", "veth0", "nodad")
        perform(rtnetlink, AddAddress(key("2001:db8::10/64"), VIRTUAL6))
        (shown,) = [
            info
            for device in ip_json("address", "show", "dev", "veth0")
            for info in device["addr_info"]
            if info["local"] == "2001:db8::10"
        ]
        assert shown["deprecated"] is True
        assert shown["preferred_life_time"] == 0
        assert shown["nodad"] is True
        assert "tentative" not in shown
        assert ip_json("-6", "route", "get", "2001:db8::99")[0]["prefsrc"] == "2001:db8::1"

    def test_adding_what_is_there_equally_is_no_failure(self, rtnetlink: RtNetlink) -> None:
        actions = [AddAddress(key("192.0.2.10/24"), PLAIN), AddAddress(key("2001:db8::10/64"), VIRTUAL6)]
        assert results(perform(rtnetlink, *actions)) == [Result.DONE, Result.DONE]
        assert results(perform(rtnetlink, *actions)) == [Result.ALREADY, Result.ALREADY]

    def test_adding_what_is_there_with_other_attributes_fails(self, rtnetlink: RtNetlink) -> None:
        ip("address", "add", "2001:db8::10/64", "dev", "veth0", "nodad")
        (outcome,) = perform(rtnetlink, AddAddress(key("2001:db8::10/64"), VIRTUAL6))
        assert (outcome.result, outcome.errno) == (Result.FAILED, errno.EEXIST)
        assert "other attributes" in outcome.message
        assert outcome.hint

    @pytest.mark.parametrize(
        ("text", "old", "new"),
        [
            ("2001:db8::10/64", VIRTUAL6, AddressAttributes(no_dad=True)),
            ("2001:db8::10/64", VIRTUAL6, VIRTUAL6._replace(no_prefix_route=True)),
            ("192.0.2.10/24", PLAIN, AddressAttributes(deprecated=True)),
            ("192.0.2.10/24", PLAIN, AddressAttributes(no_prefix_route=True)),
            ("192.0.2.10/24", AddressAttributes(no_prefix_route=True), PLAIN),
        ],
    )
    def test_replace_changes_attributes(
        self, rtnetlink: RtNetlink, text: str, old: AddressAttributes, new: AddressAttributes
    ) -> None:
        where = key(text)
        perform(rtnetlink, AddAddress(where, old))
        assert results(perform(rtnetlink, ReplaceAddress(where, old, new))) == [Result.DONE]
        assert observed(rtnetlink)[where] == ObservedAddress(where, new, ours=True)

    def test_exactly_one_is_removed(self, rtnetlink: RtNetlink) -> None:
        same = [
            key("192.0.2.10/24"),
            key("192.0.2.10/32"),
            key("192.0.2.10/32", "veth1"),
            key("192.0.2.11/24"),
        ]
        perform(rtnetlink, *(AddAddress(where, PLAIN) for where in same))
        before = observed(rtnetlink).keys()
        assert results(perform(rtnetlink, RemoveAddress(same[1]))) == [Result.DONE]
        assert before - observed(rtnetlink).keys() == {same[1]}

    @pytest.mark.parametrize("promote", ["0", "1"])
    def test_removing_the_first_of_a_network_leaves_the_others(
        self, rtnetlink: RtNetlink, promote: str
    ) -> None:
        setting = Path("/proc/sys/net/ipv4/conf/veth0/promote_secondaries")
        setting.write_text(promote)
        ours, theirs = key("192.0.2.10/24"), key("192.0.2.11/24")
        perform(rtnetlink, AddAddress(ours, PLAIN))
        ip("address", "add", "192.0.2.11/24", "dev", "veth0")
        assert release().converged
        found = observed(rtnetlink)
        assert theirs in found
        assert ours not in found
        assert setting.read_text().strip() == promote

    def test_others_are_never_lost_where_they_cannot_be_kept(self, rtnetlink: RtNetlink) -> None:
        ours, alone = key("192.0.2.10/24"), key("198.51.100.1/32")
        perform(rtnetlink, AddAddress(ours, PLAIN), AddAddress(alone, PLAIN))
        ip("address", "add", "192.0.2.11/24", "dev", "veth0")
        with read_only_sysctls():
            report = release()
        assert [each.action for each in report.done] == [RemoveAddress(alone)]
        assert [each.errno for each in report.failed] == [errno.EROFS]
        assert observed(rtnetlink).keys() >= {ours, key("192.0.2.11/24")}
        Path("/proc/sys/net/ipv4/conf/all/promote_secondaries").write_text("1")
        with read_only_sysctls():
            assert release().converged
        assert key("192.0.2.11/24") in observed(rtnetlink)

    def test_removing_what_is_gone_is_no_failure(self, rtnetlink: RtNetlink) -> None:
        gone = [RemoveAddress(key("192.0.2.10/24")), RemoveAddress(key("192.0.2.10/24", "eth9"))]
        assert results(perform(rtnetlink, *gone)) == [Result.ALREADY, Result.ALREADY]

    def test_a_refused_action_does_not_stop_the_others(self, rtnetlink: RtNetlink) -> None:
        outcomes = perform(
            rtnetlink,
            AddAddress(key("192.0.2.10/24"), PLAIN),
            AddAddress(key("192.0.2.11/24", "eth9"), PLAIN),
            AddAddress(key("ff02::99/64"), VIRTUAL6),
            AddAddress(key("192.0.2.12/24"), PLAIN),
        )
        assert results(outcomes) == [Result.DONE, Result.FAILED, Result.FAILED, Result.DONE]
        assert (outcomes[1].errno, outcomes[1].message) == (errno.ENODEV, "there is no such device")
        assert outcomes[2].errno == errno.EADDRNOTAVAIL
        assert "multicast" in outcomes[2].message
        assert all(outcome.hint for outcome in outcomes[1:3])

    def test_switched_off_ipv6_is_named(self, rtnetlink: RtNetlink) -> None:
        Path("/proc/sys/net/ipv6/conf/veth0/disable_ipv6").write_text("1")
        (outcome,) = perform(rtnetlink, AddAddress(key("2001:db8::10/64"), VIRTUAL6))
        assert outcome.result is Result.FAILED
        assert "disable_ipv6" in outcome.hint

    def test_ten_thousand_addresses(self, rtnetlink: RtNetlink) -> None:
        keys = [key(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32") for n in range(10_000)]
        assert set(results(perform(rtnetlink, *(AddAddress(k, PLAIN) for k in keys)))) == {Result.DONE}
        assert {each.key for each in observed(rtnetlink).values() if each.ours} == set(keys)
        assert set(results(perform(rtnetlink, *(RemoveAddress(k) for k in keys)))) == {Result.DONE}
        assert not any(each.ours for each in observed(rtnetlink).values())

    def test_without_the_right_it_says_so(self, rtnetlink: RtNetlink) -> None:
        with as_nobody(), RtNetlink.open() as powerless:
            outcomes = perform(powerless, AddAddress(key("192.0.2.10/24"), PLAIN))
        assert (outcomes[0].result, outcomes[0].errno) == (Result.FAILED, errno.EPERM)
        assert "CAP_NET_ADMIN" in outcomes[0].message


@pytest.fixture
def capture(namespace: None) -> Iterator[socket.socket]:
    """Every frame that reaches the far end of the pair."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as sock:
        sock.bind(("veth1", ETH_P_ALL))
        sock.settimeout(5)
        yield sock


def announcements(sock: socket.socket, of: bytes, count: int) -> list[bytes]:
    """The next `count` frames that name an address and come from outside."""
    found: list[bytes] = []
    while len(found) < count:
        frame, origin = sock.recvfrom(2048)
        if origin[2] != socket.PACKET_OUTGOING and of in frame and frame[12:14] in (b"\x08\x06", b"\x86\xdd"):
            found.append(frame)
    return found


class TestAnnounce:
    def test_added_ipv4_address_is_announced_in_both_forms(
        self, rtnetlink: RtNetlink, capture: socket.socket
    ) -> None:
        where = key("192.0.2.10/32")
        assert results(perform_addresses(rtnetlink, [AddAddress(where, PLAIN)])) == [Result.DONE]
        frames = announcements(capture, where.address, 2)
        assert [frame[20:22] for frame in frames] == [b"\x00\x01", b"\x00\x02"]
        mac = bytes.fromhex(device("veth0").hardware_address.replace(":", ""))
        assert {frame[:12] for frame in frames} == {b"\xff" * 6 + mac}

    @pytest.mark.parametrize("forwarding", ["0", "1"])
    def test_added_ipv6_address_is_announced_and_says_whether_we_forward(
        self, rtnetlink: RtNetlink, capture: socket.socket, forwarding: str
    ) -> None:
        Path("/proc/sys/net/ipv6/conf/veth0/forwarding").write_text(forwarding)
        where = key("2001:db8::10/128")
        perform_addresses(rtnetlink, [AddAddress(where, VIRTUAL6)])
        frame = next(
            f for f in iter(lambda: announcements(capture, where.address, 1)[0], b"") if f[54] == 136
        )
        assert bool(frame[58] & 0x80) == (forwarding == "1")
        assert frame[58] & 0x20

    @pytest.mark.parametrize("text", ["10.0.0.200/32", "fd00::200/128"])
    def test_neighbours_follow_the_address(self, lab: LabFactory, text: str) -> None:
        """A client that knows the address at one real server sends to another after its announcement."""
        one_arm = lab("one-arm")
        first, second = one_arm.real_servers[:2]
        client = one_arm.client
        address = text.partition("/")[0]
        for host in (first, second):
            with host.inside(), RtNetlink.open() as sock:
                perform(sock, AddAddress(key(text, host.spec.links[0].device), VIRTUAL6))
        link = client.spec.links[0].device
        client.sysctl(f"net.ipv4.neigh.{link}.locktime", 0)
        client.run(["ip", "neigh", "add", address, "lladdr", mac_of(first), "dev", link, "nud", "reachable"])
        time.sleep(ONE_JIFFY_S)  # an ARP entry of this very jiffy stays as it is even so
        with second.inside(), RtNetlink.open() as sock:
            devices = {detail.link.name: detail for detail in read_link_details(sock)}
            assert announce([key(text, second.spec.links[0].device)], devices) == {}
        with client.inside():
            (entry,) = ip_json("neigh", "show", "to", address)
        assert entry["lladdr"] == mac_of(second)

    def test_devices_without_neighbours_are_passed_over(self, rtnetlink: RtNetlink) -> None:
        ip("link", "set", "veth1", "down")
        devices = {detail.link.name: detail for detail in read_link_details(rtnetlink)}
        keys = [key("192.0.2.1/32", name) for name in ("lo", "tunl0", "dummy0", "veth1", "eth9")]
        assert announce(keys, devices) == {}

    def test_address_that_could_not_be_announced_is_a_failure(self, rtnetlink: RtNetlink) -> None:
        where = key("192.0.2.10/32")
        outcomes = perform_addresses(
            rtnetlink, [AddAddress(where, PLAIN)], lambda keys, _: dict.fromkeys(keys, "the cable is gone")
        )
        assert results(outcomes) == [Result.FAILED]
        assert outcomes[0].message == "the address is there, but was not announced: the cable is gone"


def device(name: str) -> Link:
    with RtNetlink.open() as sock:
        return next(link for link in observe_links(sock) if link.name == name)


def mac_of(host: Host) -> str:
    with host.inside():
        return device(host.spec.links[0].device).hardware_address


class TestLinks:
    def test_links_are_what_ip_shows(self, rtnetlink: RtNetlink) -> None:
        shown = {
            each["ifname"]: (each["ifindex"], "UP" in each["flags"], each["mtu"])
            for each in ip_json("-details", "link", "show")
        }
        found = {link.name: (link.ifindex, link.up, link.mtu_bytes) for link in observe_links(rtnetlink)}
        assert found == shown
        assert device("veth0").kind == "veth"

    @pytest.mark.parametrize("name", ["tunl0", "ip6tnl0", "sit0", "gre0", "ip6gre0"])
    def test_fallback_device_is_switched_on_and_off(self, rtnetlink: RtNetlink, name: str) -> None:
        wanted = EnsureLink(LinkState(name, device(name).kind))
        assert results(perform_links(rtnetlink, [wanted])) == [Result.DONE]
        assert device(name).up
        assert results(perform_links(rtnetlink, [wanted])) == [Result.ALREADY]
        assert results(perform_links(rtnetlink, [RemoveLink(name)])) == [Result.DONE]
        assert not device(name).up

    def test_device_is_created_up_with_its_mtu_and_removed(self, rtnetlink: RtNetlink) -> None:
        wanted = EnsureLink(LinkState("vip0", "dummy", 1400))
        assert results(perform_links(rtnetlink, [wanted])) == [Result.DONE]
        link = device("vip0")
        assert (link.kind, link.up, link.mtu_bytes) == ("dummy", True, 1400)
        assert results(perform_links(rtnetlink, [wanted])) == [Result.ALREADY]
        assert results(perform_links(rtnetlink, [RemoveLink("vip0"), RemoveLink("vip0")])) == [
            Result.DONE,
            Result.ALREADY,
        ]

    def test_existing_device_is_brought_up_and_sized(self, rtnetlink: RtNetlink) -> None:
        ip("link", "set", "veth1", "down")
        assert results(perform_links(rtnetlink, [EnsureLink(LinkState("veth1", "", 1300))])) == [Result.DONE]
        assert (device("veth1").up, device("veth1").mtu_bytes) == (True, 1300)

    @pytest.mark.parametrize(
        ("link", "number", "words"),
        [
            (LinkState("eth9"), errno.ENODEV, "there is no such device"),
            (LinkState("x0", "wormhole"), errno.EOPNOTSUPP, "no such kind"),
            (LinkState("x0", "ipip"), errno.EEXIST, "another device of this kind"),
            (LinkState("veth0", "dummy"), errno.EEXIST, "of kind `veth`, not `dummy`"),
            (LinkState("veth0", "", 9), errno.EINVAL, "MTU"),
        ],
    )
    def test_refusals_are_worded(
        self, rtnetlink: RtNetlink, link: LinkState, number: int, words: str
    ) -> None:
        after = EnsureLink(LinkState("vip0", "dummy"))
        refused, done = perform_links(rtnetlink, [EnsureLink(link), after])
        assert (refused.result, refused.errno) == (Result.FAILED, number)
        assert words in refused.message
        assert refused.hint
        assert done.result is Result.DONE


NEXT_HOPS = ("nexthop", "via", "2001:db8::2", "nexthop", "via", "2001:db8::3")


class TestRoutes:
    def test_main_table_with_each_next_hop(self, rtnetlink: RtNetlink) -> None:
        ip("address", "add", "192.0.2.1/24", "dev", "veth0")
        ip("address", "add", "2001:db8::1/64", "dev", "veth0", "nodad")
        ip("route", "add", "default", "via", "192.0.2.254", "metric", "50")
        ip("route", "add", "2001:db8:2::/48", *NEXT_HOPS)
        ip("route", "add", "203.0.113.0/24", "via", "inet6", "2001:db8::2", "dev", "veth0")
        ip("route", "add", "2001:db8:1::/48", "via", "2001:db8::2", "metric", "7")
        ip("route", "add", "blackhole", "198.18.0.0/15")
        ip("route", "add", "10.9.0.0/16", "via", "192.0.2.2", "table", "100")
        found = set(observe_routes(rtnetlink, observe_links(rtnetlink)))
        assert {route for route in found if len(route.destination) == 4} == {
            Route(parse_address("192.0.2.0"), 24, None, "veth0", 0),
            Route(parse_address("0.0.0.0"), 0, parse_address("192.0.2.254"), "veth0", 50),
            Route(parse_address("203.0.113.0"), 24, parse_address("2001:db8::2"), "veth0", 0),
        }
        assert Route(parse_address("2001:db8:1::"), 48, parse_address("2001:db8::2"), "veth0", 7) in found
        for gateway in ("2001:db8::2", "2001:db8::3"):
            assert Route(parse_address("2001:db8:2::"), 48, parse_address(gateway), "veth0", 1024) in found
        assert Route(parse_address("2001:db8::"), 64, None, "veth0", 256) in found

    def test_lookup_is_the_kernels(self, rtnetlink: RtNetlink) -> None:
        ip("address", "add", "192.0.2.1/24", "dev", "veth0")
        ip("route", "add", "198.51.100.0/24", "via", "192.0.2.2")
        ip("route", "add", "blackhole", "198.51.100.128/25")
        links = observe_links(rtnetlink)
        far, near, own = (parse_address(t) for t in ("198.51.100.7", "192.0.2.9", "192.0.2.1"))
        assert route_to(rtnetlink, far, links) == Route(far, 32, parse_address("192.0.2.2"), "veth0", 0)
        assert route_to(rtnetlink, near, links) == Route(near, 32, None, "veth0", 0)
        assert route_to(rtnetlink, own, links) == Route(own, 32, None, "lo", 0)
        for nowhere in ("198.51.100.200", "203.0.113.1", "2001:db8::1"):
            assert route_to(rtnetlink, parse_address(nowhere), links) is None


class TestSysctls:
    def test_values_of_this_network_namespace(self, namespace: None) -> None:
        paths = ["net/ipv4/ip_forward", "net/ipv4/conf/veth0/rp_filter", "net/ipv4/vs/no_such_thing"]
        assert read_sysctls(paths) == {paths[0]: "0", paths[1]: "0", paths[2]: None}
        outcomes = perform_sysctls([WriteSysctl(paths[0], "0", "1", "")])
        assert results(outcomes) == [Result.DONE]
        assert read_sysctls(paths[:1]) == {paths[0]: "1"}

    def test_device_name_with_a_dot(self, namespace: None) -> None:
        ip("link", "add", "link", "veth0", "name", "veth0.5", "type", "vlan", "id", "5")
        path = "net/ipv4/conf/veth0.5/send_redirects"
        assert results(perform_sysctls([WriteSysctl(path, "1", "0", "")])) == [Result.DONE]
        assert read_sysctls([path]) == {path: "0"}

    def test_refusals_are_worded_and_stop_nothing(self, namespace: None) -> None:
        outcomes = perform_sysctls(
            [
                WriteSysctl("net/ipv4/vs/no_such_thing", "", "1", ""),
                WriteSysctl("net/ipv4/conf/eth9/rp_filter", "", "1", ""),
                WriteSysctl("net/ipv4/vs/conntrack", "0", "many", ""),
                WriteSysctl("net/ipv4/vs/conntrack", "0", "1", ""),
            ]
        )
        assert results(outcomes) == [Result.FAILED] * 3 + [Result.DONE]
        assert [o.errno for o in outcomes[:3]] == [errno.ENOENT, errno.ENOENT, errno.EINVAL]
        assert "modprobe ip_vs" in outcomes[0].hint
        assert "`eth9`" in outcomes[1].hint

    def test_read_only_proc_is_named(self, namespace: None) -> None:
        with read_only_sysctls():
            (outcome,) = perform_sysctls([WriteSysctl("net/ipv4/ip_forward", "0", "1", "")])
        assert (outcome.result, outcome.errno) == (Result.FAILED, errno.EROFS)
        assert "read-only" in outcome.message


@contextmanager
def read_only_sysctls() -> Iterator[None]:
    with ExitStack() as stack:
        subprocess.run(["mount", "--bind", "/proc/sys", "/proc/sys"], check=True)
        stack.callback(subprocess.run, ["umount", "/proc/sys"], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", "/proc/sys"], check=True)
        yield


VIP4, VIP6 = parse_address("192.0.2.10"), parse_address("2001:db8::10")
TABLES = {
    "ipv4": build_table({(VIP4, TCP, 80, 80): 1}, frozenset()),
    "ipv6": build_table({(VIP6, TCP, 80, 80): 0xFFFFFFFF}, frozenset()),
    "protocols": build_table({(VIP4, p, 53, 53): p for p in (TCP, UDP, SCTP, 33)}, frozenset()),
    "ranges": build_table(
        {(VIP4, TCP, 1024, 2047): 7, (VIP4, TCP, 3000, 3001): 8, (VIP6, UDP, 0, 1023): 9}, frozenset()
    ),
    "all ports": build_table({(VIP4, TCP, *ALL_PORTS): 7, (VIP6, SCTP, *ALL_PORTS): 8}, frozenset()),
    "masquerade": build_table({(VIP4, TCP, 80, 80): 0x4B000001}, frozenset({0x4B000001, 5})),
    "masquerade alone": build_table({}, frozenset({5})),
    "thousand": build_table(
        {(parse_address(f"10.0.{n >> 8}.{n & 255}"), TCP, 80, 80 + n): n + 1 for n in range(1000)},
        frozenset(range(1, 1001)),
    ),
}
EACH_TABLE = pytest.mark.parametrize("wanted", TABLES.values(), ids=TABLES.keys())


class TestTable:
    @EACH_TABLE
    def test_observed_is_what_was_put_there(self, tables: Nftables, wanted: NftTable) -> None:
        assert tables.observe() is None
        tables.replace(wanted)
        assert tables.observe() == wanted

    @EACH_TABLE
    def test_text_form_means_the_same(self, tables: Nftables, wanted: NftTable) -> None:
        nft("-c", "-f", "-", stdin=render(wanted))
        assert tables.observe() is None
        nft("-f", "-", stdin=render(wanted))
        assert tables.observe() == wanted

    def test_replace_leaves_nothing_of_the_old_one(self, tables: Nftables) -> None:
        tables.replace(TABLES["masquerade"])
        tables.replace(TABLES["ipv6"])
        assert tables.observe() == TABLES["ipv6"]
        tables.replace(EMPTY_TABLE)
        assert tables.observe() is None
        tables.replace(EMPTY_TABLE)

    def test_foreign_tables_are_named_and_kept(self, tables: Nftables) -> None:
        nft("-f", "-", stdin="table ip filter { }\ntable inet kernelbal2 { }\n")
        tables.replace(TABLES["ipv4"])
        tables.replace(EMPTY_TABLE)
        assert tables.foreign_tables() == ("inet kernelbal2", "ip filter")

    @pytest.mark.parametrize(
        "edit",
        [
            "add element inet kernelbal marks4 { 192.0.2.99 . tcp . 80 : 5 }",
            "add rule inet kernelbal prerouting counter",
            "flush chain inet kernelbal prerouting",
            "add set inet kernelbal more { type ipv4_addr; }",
            "add chain inet kernelbal more",
            "add chain inet kernelbal prerouting { policy drop; }",
            "add counter inet kernelbal more",
            "add set inet kernelbal more { typeof ip saddr . tcp dport; flags dynamic; timeout 5s; }",
        ],
    )
    def test_edits_by_others_are_seen_and_put_right(self, tables: Nftables, edit: str) -> None:
        tables.replace(TABLES["ipv4"])
        nft(edit)
        assert tables.observe() != TABLES["ipv4"]
        tables.replace(TABLES["ipv4"])
        assert tables.observe() == TABLES["ipv4"]

    def test_check_changes_nothing(self, tables: Nftables) -> None:
        tables.check(TABLES["ipv4"])
        assert tables.observe() is None
        tables.replace(TABLES["ipv4"])
        tables.check(TABLES["ipv6"])
        assert tables.observe() == TABLES["ipv4"]

    def test_refused_transaction_changes_nothing(self, tables: Nftables) -> None:
        overlapping = build_table({(VIP4, TCP, 80, 90): 1, (VIP4, TCP, 85, 95): 2}, frozenset())
        with pytest.raises(KernelError) as caught:
            tables.check(overlapping)
        assert caught.value.hint or caught.value.errno
        tables.replace(TABLES["ipv4"])
        outcomes = perform_tables(tables, [ReplaceTable(None, overlapping)])
        assert results(outcomes) == [Result.FAILED]
        assert outcomes[0].message
        assert tables.observe() == TABLES["ipv4"]

    def test_without_the_right_it_says_so(self, namespace: None) -> None:
        with as_nobody():
            powerless = Nftables.open()
            with pytest.raises(NotPermitted, match="CAP_NET_ADMIN"):
                powerless.replace(TABLES["ipv4"])


COUNTERS = """
table inet probe {
    chain input {
        type filter hook input priority 0; policy accept;
        meta mark 0x11 counter comment "0x11"
        meta mark 0x22 counter comment "0x22"
        meta mark 0x0 udp dport 1-65535 counter comment "none"
    }
}
"""


class TestPackets:
    @pytest.mark.parametrize("version", [4, 6])
    def test_packets_get_the_mark_of_their_port(self, lab: LabFactory, version: int) -> None:
        two_arm = lab("two-arm")
        director, client = two_arm.director, two_arm.client
        address = director.address(version)
        where = parse_address(address)
        marks = {
            (where, UDP, 5000, 5000): 0x11,
            (where, UDP, 6000, 6100): 0x22,
            (where, TCP, 5001, 5001): 0x11,
        }
        with director.inside():
            Nftables.open().replace(build_table(marks, frozenset()))
            nft("-f", "-", stdin=COUNTERS)
        ports = [5000, 6000, 6100, 6050, 5001, 5999, 6101]
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        with client.inside(), socket.socket(family, socket.SOCK_DGRAM) as sock:
            for port in ports:
                sock.sendto(b"?", (address, port))
        with director.inside():
            assert counted() == {"0x11": 1, "0x22": 3, "none": 3}

    @pytest.mark.parametrize("version", [4, 6])
    @pytest.mark.parametrize("masquerade", [True, False])
    def test_marked_packets_leave_with_the_directors_address(
        self, lab: LabFactory, version: int, *, masquerade: bool
    ) -> None:
        two_arm = lab("two-arm")
        director, client, server = two_arm.director, two_arm.client, two_arm.real_servers[0]
        target = server.address(version)
        table = build_table(
            {(parse_address(target), UDP, 5000, 5000): 0x11}, frozenset({0x11} if masquerade else {0x22})
        )
        with director.inside():
            Nftables.open().replace(table)
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        with ExitStack() as stack:
            with server.inside():
                bound = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                bound.bind((target, 5000))
            with client.inside():
                asking = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
                asking.connect((target, 5000))
            bound.settimeout(5)
            asking.settimeout(5)
            asking.send(b"?")
            _, origin = bound.recvfrom(16)
            bound.sendto(b"!", origin)
            assert asking.recv(16) == b"!"
        inside_address = director.address(version, director.spec.inside)
        assert origin[0] == (inside_address if masquerade else client.address(version))


def counted() -> dict[str, int]:
    listed = json.loads(nft("-j", "list", "table", "inet", "probe"))["nftables"]
    rules = [each["rule"] for each in listed if "rule" in each]
    return {
        rule["comment"]: part["counter"]["packets"]
        for rule in rules
        for part in rule["expr"]
        if "counter" in part
    }


def test_built_in_ipvs_needs_no_modprobe() -> None:
    assert modules.load_module("ip_vs") == modules.ModuleLoad("ip_vs", loaded=True)
    assert modules.ModuleIndex.read().presence("ip_vs").usable
