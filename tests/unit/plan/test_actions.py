"""What an action is about."""

import pytest

from kernelbal.model.ipvs import ServiceKey
from kernelbal.plan.actions import (
    Action,
    AddDestination,
    AddService,
    RemoveDestination,
    RemoveLink,
    RemoveService,
    service_of,
)
from tests.unit.plan.samples import real, service, virtual, weighing

WEB, A = service("192.0.2.10", 80), real("10.0.0.11")


@pytest.mark.parametrize(
    ("action", "about"),
    [
        (AddService(WEB, virtual().attributes), WEB),
        (RemoveService(WEB), WEB),
        (AddDestination(WEB, A, weighing(1)), WEB),
        (RemoveDestination(WEB, A), WEB),
        (RemoveLink("tunl0"), None),
    ],
)
def test_service_of_an_action(action: Action, about: ServiceKey | None) -> None:
    assert service_of(action) == about
