"""The table of routes."""

from kernelbal.model.choices import Right
from kernelbal.runtime.api.routes import ROUTES, Endpoint, find_routes


def test_each_endpoint_has_one_route() -> None:
    assert sorted(route.endpoint.value for route in ROUTES) == sorted(each.value for each in Endpoint)


def test_what_changes_something_needs_the_right_to() -> None:
    assert all((route.method == "POST") == (route.right is Right.CHANGE) for route in ROUTES)


def test_segment_stands_for_a_name() -> None:
    assert [(r.endpoint, name) for r, name in find_routes("/v1/virtual-services/a%2Fb")] == [
        (Endpoint.SERVICE, "a%2Fb")
    ]
    assert find_routes("/v1/virtual-services/") == []
    assert find_routes("/v1/virtual-services/a/b") == []
    assert find_routes("/v1/virtual-services/{name}/") == []
