from __future__ import annotations

import pytest

from tests.iotplatform.pipeline.parts import Source


@pytest.fixture
def source(platform_db: None) -> Source:
    """A sender with three series of an enabled device, an empty log and an empty table."""
    return Source.make()
