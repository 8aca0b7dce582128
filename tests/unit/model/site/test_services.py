"""Values of virtual services are checked one by one."""

import pytest
from pydantic import ValidationError

from kernelbal.model.site.services import RealServer


@pytest.mark.parametrize("weight", [-1, 65536, "5", 5.0, True, None])
def test_weight_is_a_whole_number_in_range(weight: object) -> None:
    with pytest.raises(ValidationError):
        RealServer.model_validate({"address": "10.0.0.1", "weight": weight})
