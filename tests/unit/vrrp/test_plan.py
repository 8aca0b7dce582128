"""The role plan."""

from kernelbal.model.address import AF_INET, AF_INET6, parse_address
from kernelbal.model.network import AddressAttributes, AddressKey
from kernelbal.store.codec import Codec
from kernelbal.vrrp.machine import Router
from kernelbal.vrrp.plan import PLAN_VERSION, RoleInstance, RolePlan
from tests.support.vrrp_packets import LINK_LOCAL_VIP, LOCAL, LOCAL6, RECEIVER, RECEIVER6, VIP, VIP6

FOUR = RoleInstance(
    "outside", "eth0", LOCAL, 51, (VIP,), ((AddressKey("eth0", VIP, 24), AddressAttributes()),), preempt=True
)
SIX = RoleInstance("outside6", "eth0", LOCAL6, 51, (LINK_LOCAL_VIP, VIP6), ())


def test_plan_comes_back_from_its_file() -> None:
    plan = RolePlan("lb1", (FOUR, SIX))
    codec = Codec(RolePlan)
    assert codec.decode(codec.encode(plan)) == plan
    assert plan.version == PLAN_VERSION


def test_instance_knows_router_and_receiver() -> None:
    assert (FOUR.family, SIX.family) == (AF_INET, AF_INET6)
    assert FOUR.router == Router(LOCAL, preempt=True)
    assert (FOUR.receiver, SIX.receiver) == (RECEIVER, RECEIVER6)
    assert FOUR.receiver.local == parse_address("192.0.2.11")
