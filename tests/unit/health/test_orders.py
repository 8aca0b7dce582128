"""Which order concerns which real server."""

from kernelbal.health.orders import OrderIndex, concerns
from kernelbal.model.address import parse_address
from kernelbal.model.overlay import Admin, OperatorKey, Order
from tests.unit.health.scene import A, B, key


def at(since: float, admin: Admin = Admin.DRAIN) -> Order:
    return Order(admin, since, since + 60, hold=False, by="root", reason="")


def ordered(address: str, service: str = "", port: int = 0) -> OperatorKey:
    return OperatorKey(parse_address(address), service, port)


def test_an_order_concerns_what_it_names() -> None:
    assert concerns(ordered(A), key(A, 8080))
    assert concerns(ordered(A, "web"), key(A))
    assert concerns(ordered(A, "", 8080), key(A, 8080))
    assert not concerns(ordered(A), key(B))
    assert not concerns(ordered(A, "mail"), key(A))
    assert not concerns(ordered(A, "", 8080), key(A, 8081))


def test_no_order_no_answer() -> None:
    assert OrderIndex({}).find(key(A)) is None
    assert OrderIndex({ordered(B): at(1)}).find(key(A)) is None
    assert OrderIndex({ordered(A, "mail"): at(1)}).find(key(A)) is None


def test_it_is_known_whether_an_order_holds_everywhere() -> None:
    index = OrderIndex({ordered(A): at(1), ordered(B, "web"): at(1)})
    everywhere, here = index.find(key(A)), index.find(key(B))
    assert everywhere is not None
    assert here is not None
    assert (everywhere.everywhere, here.everywhere) == (True, False)


def test_the_latest_of_several_orders_counts() -> None:
    wide, narrow = at(2, Admin.DISABLE), at(1)
    both = {ordered(A): wide, ordered(A, "web"): narrow}
    for orders in (both, dict(reversed(both.items()))):
        found = OrderIndex(orders).find(key(A))
        assert found is not None
        assert found.order == wide


def test_the_most_specific_of_equally_late_orders_counts() -> None:
    wide, narrow = at(1, Admin.DISABLE), at(1)
    both = {ordered(A, "web"): narrow, ordered(A): wide}
    for orders in (both, dict(reversed(both.items()))):
        found = OrderIndex(orders).find(key(A))
        assert found is not None
        assert found.order == narrow
