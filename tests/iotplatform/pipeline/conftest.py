from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.iotplatform.pipeline.parts import Source, close_drains


@pytest.fixture
def source(platform_db: None) -> Iterator[Source]:
    """A sender with three series of an enabled device, an empty log and an empty table."""
    yield Source.make()
    close_drains()
