"""The JSON that the naive project takes: a list of {"device", "metric", "time", "value"}."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bodies import Share, array, moments, value_texts


def flat(share: Share) -> Iterator[bytes]:
    """The same readings in the same order as `bodies.one_metric` has them."""
    fleet, values = share.fleet, value_texts(share.connection)
    heads = []
    for number in share.block(fleet.series):
        metric = fleet.metric_names()[number // fleet.devices]
        heads.append(f'{{"device":"{fleet.device(number % fleet.devices)}","metric":"{metric}","time":"')
    objects = (f'{head}{moment}","value":{next(values)}}}' for moment in moments(share) for head in heads)
    for _ in range(share.posts):
        yield array(objects, share.readings)
