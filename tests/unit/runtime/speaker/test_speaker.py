"""What the speaker does, in virtual time with a kernel in memory; the real one is proved in the lab."""

from dataclasses import replace
from pathlib import Path

import pytest

from kernelbal.model.address import AF_INET, parse_address
from kernelbal.model.network import AddressAttributes, AddressKey
from kernelbal.runtime.speaker.loop import read_plan
from kernelbal.runtime.speaker.speaker import ANNOUNCE_AGAIN_NS, Held, Speaker, Surroundings, lifetime_of
from kernelbal.store.codec import Codec, Malformed
from kernelbal.vrrp.events import VrrpRole
from kernelbal.vrrp.ip import parse_ip
from kernelbal.vrrp.packet import ChecksumStyle, parse_advertisement
from kernelbal.vrrp.plan import RoleInstance, RolePlan
from kernelbal.vrrp.receive import Reason
from kernelbal.vrrp.timers import NS_PER_S, down_ns
from tests.support.vrrp_packets import ADVERT, LOCAL, VIP, advert_packet

ALL = Surroundings({"eth0": True, "eth1": True}, {("eth0", LOCAL), ("eth1", LOCAL)})
HELD = {("eth0", VIP), ("eth1", VIP)}
STRANGER_VIP = parse_address("192.0.2.222")
DOWN = down_ns(3, 100, 100)


def instance(name: str, device: str, vrid: int = 51) -> RoleInstance:
    key = AddressKey(device, VIP, 32)
    return RoleInstance(name, device, LOCAL, vrid, (VIP,), ((key, AddressAttributes()),))


class Recorder:
    """A kernel that notes what it is asked."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def send(self, name: str, payload: bytes) -> None:
        self.done.append(f"send {name} {parse_advertisement(payload, AF_INET).priority}")

    def hold(self, held: Held, lifetime_s: int) -> None:
        self.done += [f"hold {key.device} {lifetime_s}s" for key, _ in held]

    def release(self, held: Held) -> None:
        self.done += [f"release {key.device}" for key, _ in held]

    def announce(self, held: Held) -> None:
        self.done += [f"announce {key.device}" for key, _ in held]

    def taken(self) -> list[str]:
        """What was asked since the last time."""
        done, self.done = self.done, []
        return done


@pytest.fixture
def kernel() -> Recorder:
    return Recorder()


@pytest.fixture
def speaker(kernel: Recorder) -> Speaker:
    plan = RolePlan("lb1", (instance("outside", "eth0"), instance("inside", "eth1")))
    made = Speaker(plan, kernel)
    made.start(ALL, 0)
    assert kernel.taken() == ["release eth0", "release eth1"]
    made.changes.clear()
    return made


def roles(speaker: Speaker) -> set[VrrpRole]:
    return {member.state.role for member in speaker.group.values()}


def test_takeover_advertises_first_everywhere(speaker: Speaker, kernel: Recorder) -> None:
    assert speaker.due_at_ns == DOWN
    speaker.tick(DOWN)
    assert kernel.taken() == [
        *("send outside 100", "send inside 100"),
        *("hold eth0 3s", "hold eth1 3s"),
        *("announce eth0", "announce eth1"),
    ]
    assert [(change.name, change.after.value, change.why) for change in speaker.changes] == [
        ("outside", "active", "active router down"),
        ("inside", "active", "active router down"),
    ]


def test_addresses_are_refreshed_and_announced_again(speaker: Speaker, kernel: Recorder) -> None:
    speaker.tick(DOWN)
    kernel.taken()
    now = DOWN
    while now < DOWN + ANNOUNCE_AGAIN_NS:
        now = speaker.due_at_ns
        speaker.tick(now)
    done = kernel.taken()
    assert done.count("send outside 100") == 5
    assert done.count("hold eth0 3s") == 5
    assert done.count("announce eth1") == 1


def test_yielding_on_one_network_releases_all(speaker: Speaker, kernel: Recorder) -> None:
    speaker.tick(DOWN)
    kernel.taken()
    better = parse_ip(advert_packet(ADVERT._replace(priority=200)))
    speaker.hear("inside", [better], DOWN + 1)
    assert kernel.taken() == ["send outside 0", "release eth1", "release eth0"]
    assert roles(speaker) == {VrrpRole.BACKUP}
    speaker.tick(DOWN + 2)
    assert kernel.taken() == []


def test_stop_tells_the_partner_before_the_addresses_go(speaker: Speaker, kernel: Recorder) -> None:
    speaker.tick(DOWN)
    kernel.taken()
    speaker.stop(DOWN + 1)
    assert kernel.taken() == ["send outside 0", "send inside 0", "release eth0", "release eth1"]


def test_hand_over(speaker: Speaker, kernel: Recorder) -> None:
    speaker.tick(DOWN)
    speaker.hand_over(DOWN + 1, 60 * NS_PER_S)
    assert kernel.taken()[-4:] == ["send outside 0", "send inside 0", "release eth0", "release eth1"]


def test_packets_that_do_not_count_are_counted(speaker: Speaker, kernel: Recorder) -> None:
    others = [advert_packet(ADVERT._replace(vrid=7)), advert_packet(ttl=1), advert_packet(ttl=1)]
    speaker.hear("inside", map(parse_ip, others), 5)
    assert speaker.refused == {("inside", Reason.VRID): 1, ("inside", Reason.TTL): 2}
    assert speaker.due_at_ns == DOWN
    assert kernel.taken() == []


def test_stranger_moves_nobody(speaker: Speaker) -> None:
    foreign = advert_packet(ADVERT._replace(priority=255, addresses=(STRANGER_VIP,)))
    speaker.tick(DOWN)
    speaker.hear("inside", [parse_ip(foreign)], DOWN + 1)
    assert roles(speaker) == {VrrpRole.ACTIVE}


def test_partner_is_answered_in_its_style(speaker: Speaker) -> None:
    speaker.hear("inside", [parse_ip(advert_packet(style=ChecksumStyle.RFC5798))], 5)
    assert speaker.styles == {"outside": ChecksumStyle.RFC9568, "inside": ChecksumStyle.RFC5798}


def test_lateness_is_known(speaker: Speaker) -> None:
    speaker.tick(DOWN + 7)
    assert speaker.worst_late_ns == 7


@pytest.mark.parametrize(("interval_cs", "lifetime_s"), [(1, 1), (10, 1), (100, 3), (300, 9), (500, 15)])
def test_lifetime_ends_within_a_second_after_a_takeover(interval_cs: int, lifetime_s: int) -> None:
    found = lifetime_of(replace(instance("outside", "eth0"), interval_cs=interval_cs))
    assert found == lifetime_s
    takeover_s = down_ns(3, 255, interval_cs) / NS_PER_S
    assert found + 0.22 <= takeover_s + 1 or found == 1


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (ALL._replace(devices={"eth0": True}), "no device eth1"),
        (ALL._replace(devices={"eth0": True, "eth1": False}), "device eth1 is down"),
        (ALL._replace(addresses={("eth0", LOCAL)}), "192.0.2.11 is not on eth1"),
    ],
)
def test_one_fault_gives_up_the_role_everywhere(
    speaker: Speaker, kernel: Recorder, found: Surroundings, why: str
) -> None:
    speaker.tick(DOWN)
    kernel.taken()
    speaker.look(found, DOWN + 1)
    assert kernel.taken() == ["send outside 0", "send inside 0", "release eth0", "release eth1"]
    assert speaker.new_faults == speaker.faults == {"inside": why}
    speaker.look(found, DOWN + 2)
    assert speaker.new_faults == {}
    assert roles(speaker) == {VrrpRole.INITIALIZE}
    speaker.look(ALL, 2 * DOWN)
    assert speaker.due_at_ns == 3 * DOWN


def test_fault_at_the_start(kernel: Recorder) -> None:
    made = Speaker(RolePlan("lb1", (instance("inside", "eth1"),)), kernel)
    made.start(Surroundings({}, set()), 0)
    assert roles(made) == {VrrpRole.INITIALIZE}
    assert made.new_faults == {"inside": "no device eth1"}
    made.look(ALL, 5)
    assert roles(made) == {VrrpRole.BACKUP}


def test_address_that_somebody_took_away_is_restored(speaker: Speaker, kernel: Recorder) -> None:
    speaker.look(ALL, 1)
    speaker.tick(DOWN)
    speaker.look(ALL._replace(addresses={*ALL.addresses, *HELD}), DOWN + 1)
    kernel.taken()
    speaker.look(ALL._replace(addresses={*ALL.addresses, ("eth0", VIP)}), DOWN + 2)
    assert kernel.taken() == ["hold eth1 3s", "announce eth1"]
    assert speaker.restored == [AddressKey("eth1", VIP, 32)]
    assert roles(speaker) == {VrrpRole.ACTIVE}


def test_plan_in_a_file(tmp_path: Path, speaker: Speaker) -> None:
    path = tmp_path / "plan"
    path.write_bytes(Codec(RolePlan).encode(speaker.plan))
    assert read_plan(path) == speaker.plan
    path.write_text("{}")
    with pytest.raises(Malformed):
        read_plan(path)
