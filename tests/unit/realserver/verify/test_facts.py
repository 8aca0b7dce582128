"""What facts say of themselves."""

from tests.unit.realserver.samples import VIP, prepared
from tests.unit.realserver.verify.scene import CLIENT, ROUTER, path


def test_next_hop_is_the_router_or_the_client() -> None:
    way = path(prepared(VIP))
    assert way.next_hop == ROUTER
    assert way.reply is not None
    assert way._replace(reply=way.reply._replace(gateway=None)).next_hop == CLIENT
    assert way._replace(reply=None).next_hop == CLIENT
