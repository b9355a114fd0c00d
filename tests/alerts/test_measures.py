"""What alerts count is there before it happens for the first time."""

from __future__ import annotations

import pytest
from prometheus_client import Counter

from alerts import measures
from alerts.channels import KINDS


@pytest.mark.parametrize(
    "counter", [measures.messages_sent, measures.messages_given_up, measures.send_failures], ids=lambda each: each._name
)
def test_every_kind_of_channel_is_counted_from_the_start(counter: Counter) -> None:
    (family,) = counter.collect()
    assert {sample.labels["channel"] for sample in family.samples} >= KINDS.keys()
