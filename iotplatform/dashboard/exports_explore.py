"""The address of Explore as the query of a file. Pure."""

from __future__ import annotations

from django.http import QueryDict

from telemetry.exports.question import kept_query

__all__ = ["query_of_address"]

_KINDS = {"d": "device", "g": "group"}
_BUCKET = "1h"


def query_of_address(query: str) -> str:
    """`s=d/pump-7/temperature&f=avg&b=1h` as `device=pump-7&metric=temperature&functions=avg&bucket=1h`; what is such a query
    already without its period. Empty where nothing is asked for."""
    asked = QueryDict(kept_query(query), mutable=True)
    shown = QueryDict(mutable=True)
    for series in asked.pop("s", []):
        # A group's path has slashes, names have none.
        kind, _, rest = series.partition("/")
        owner, _, metric = rest.rpartition("/")
        if kind in _KINDS and owner and metric:
            _add(shown, _KINDS[kind], owner)
            _add(shown, "metric", metric)
    for short, name in (("f", "functions"), ("b", "bucket")):
        for value in asked.pop(short, [])[:1]:
            asked[name] = value
    for name, values in asked.lists():
        shown.setlist(name, [*shown.getlist(name), *values])
    if shown and "bucket" not in shown:
        shown["bucket"] = _BUCKET
    return shown.urlencode(safe="/,")


def _add(query: QueryDict, name: str, value: str) -> None:
    if value not in query.getlist(name):
        query.appendlist(name, value)
