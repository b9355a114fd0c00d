"""The rules in force, compiled, in the memory of a worker: loaded once a version, whichever of its shards asks."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from thresholds.compiled import Compiled, Place
from thresholds.load import Places, Versions, describe, describe_rule, load_rules, load_versions

Connection = psycopg.Connection[Any]
_TRIES = 5


class RulesKeepChanging(Exception):
    """The rules changed each time while they were loaded; the next drain tries again."""


class Rulebook:
    """Compiled rules and the series that were looked up so far. Not thread-safe."""

    def __init__(self) -> None:
        self.compiled = Compiled([])
        #: threshold id → place of its rule.
        self.places: dict[int, int] = {}
        self._rules: int | None = None
        self._placement: int | None = None
        self._finder = Places()
        #: Thresholds as alerts keep them, of these versions.
        self._described: dict[int, dict[str, Any]] = {}

    def use(self, connection: Connection, shard: int, versions: Versions) -> Versions:
        """Be of the present version; answers which one that is. Raises RulesKeepChanging."""
        for _ in range(_TRIES):
            if versions.rules != self._rules:
                compiled = Compiled(load_rules(connection))
                after = load_versions(connection, shard)
                if after.rules != versions.rules:
                    versions = after
                    continue
                self.compiled = compiled
                self.places = {rule.threshold_id: place for place, rule in enumerate(compiled.rules)}
                self._rules, self._placement = versions.rules, after.placement
                self._finder, self._described = Places(), {}
                versions = after
            elif versions.placement != self._placement:
                self.compiled.forget_series()
                self._placement = versions.placement
                self._finder, self._described = Places(), {}
            return versions
        raise RulesKeepChanging(f"the rules changed {_TRIES} times while they were loaded")

    def learn(self, connection: Connection, series: NDArray[np.int32]) -> NDArray[np.int32]:
        """Look up which rules apply to these series, where that is not known; answers which those were."""
        unknown = self.compiled.unknown(series)
        if len(unknown):
            self.compiled.add(unknown, self._finder.of(connection, unknown.tolist()))
        return unknown

    def learn_metrics(self, connection: Connection, metrics: list[str], shard: int) -> NDArray[np.int32]:
        """Look up all series of these metrics in a shard; answers their ids."""
        places = self._finder.of_metrics(connection, metrics, shard)
        series = np.array([place.series_id for place in places], np.int32)
        unknown = set(self.compiled.unknown(series).tolist())
        self.compiled.add(
            np.array(sorted(unknown), np.int32), [place for place in places if place.series_id in unknown]
        )
        return series

    def describe(self, connection: Connection, ids: list[int]) -> dict[int, dict[str, Any]]:
        """Thresholds as alerts keep them."""
        if missing := [threshold_id for threshold_id in ids if threshold_id not in self._described]:
            self._described |= describe(connection, missing)
            for threshold_id in missing:
                if threshold_id not in self._described:
                    # Deleted this very moment; the next drain ends what it opened.
                    self._described[threshold_id] = describe_rule(self.compiled.rules[self.places[threshold_id]])
        return {threshold_id: self._described[threshold_id] for threshold_id in ids}

    def where(self, connection: Connection, series: list[int]) -> dict[int, Place]:
        """Where these series stand now; gone ones are missing."""
        return {place.series_id: place for place in self._finder.of(connection, series)}
