"""The table of routes."""

from kernelbal.model.choices import Right
from kernelbal.runtime.api.routes import ROUTES, Endpoint


def test_each_endpoint_has_one_route() -> None:
    assert sorted(route.endpoint.value for route in ROUTES) == sorted(each.value for each in Endpoint)


def test_what_changes_something_needs_the_right_to() -> None:
    reading = {Endpoint.PLAN, Endpoint.EXPLAIN}
    for route in ROUTES:
        changes = route.method == "POST" and route.endpoint not in reading
        assert changes == (route.right is Right.CHANGE)
