"""The columnar forms in which readings travel, from decoding to the table. No per-reading objects after decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

#: A time that the sender left out: intake puts the time of receipt.
NO_TIME = np.iinfo(np.int64).min


class Rejection(msgspec.Struct, frozen=True):
    """One value (or one whole reading) that was refused."""

    #: Which reading of the request, from 0; None where the request as a whole is meant.
    index: int | None
    #: Where in the reading: "time", "metrics.temperature", "device"; empty for the whole of it.
    field: str
    #: Machine-readable reason, one of the contract's.
    code: str
    detail: str
    device: str = ""
    #: The reading as JSON, as it was sent, for the quarantine.
    payload: str = ""
    #: How many values it stands for: a reading whose time is wrong loses all of them.
    count: int = 1

    def as_problem(self) -> dict[str, Any]:
        """As the errors of a problem document list it."""
        return {"index": self.index, "field": self.field or None, "code": self.code, "detail": self.detail}


@dataclass(slots=True)
class Coded(Sequence[str | None]):
    """Names of runs of which many are the same: each is held once, and a code a run says which it is, -1 none."""

    names: Sequence[str]
    codes: Int64

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, run: int) -> str | None: ...
    @overload
    def __getitem__(self, run: slice) -> Sequence[str | None]: ...
    def __getitem__(self, run: int | slice) -> Any:
        if isinstance(run, slice):
            return Coded(self.names, self.codes[run])
        code = self.codes[run]
        return None if code < 0 else self.names[code]

    def filled(self, name: str) -> Coded:
        """With this name where there is none."""
        return Coded([*self.names, name], np.where(self.codes < 0, len(self.names), self.codes))


@dataclass(slots=True)
class Columns:
    """What a decoder makes of a request: one row a value, in the order they were sent.

    Names are given once per run of rows (``runs`` holds the lengths, None where every run is one row): the compact form
    has long runs. Times are µs since 1970 UTC or NO_TIME; values may be anything a float can be; index is the reading's
    place in the request. Names are still names here: decoders know nothing of what is registered.
    """

    devices: Sequence[str | None]
    metrics: Sequence[str]
    runs: Int64 | None
    times: Int64
    values: Float64
    index: Int32
    #: Rows whose value was true or false; None where no row was.
    boolean: NDArray[np.bool_] | None = None
    rejections: list[Rejection] = field(default_factory=list)
    _starts: Int64 | None = None

    def __len__(self) -> int:
        return len(self.times)

    @classmethod
    def empty(cls, rejections: list[Rejection]) -> Columns:
        """No rows, only what was refused."""
        return cls([], [], None, np.empty(0, np.int64), np.empty(0), np.empty(0, np.int32), None, rejections)

    def spread(self, per_run: NDArray[Any]) -> NDArray[Any]:
        """One entry a run to one entry a row."""
        return per_run if self.runs is None else np.repeat(per_run, self.runs)

    def span(self, run: int) -> tuple[int, int]:
        """(first row, number of rows) of a run."""
        if self.runs is None:
            return run, 1
        return int(self._first_rows(self.runs)[run]), int(self.runs[run])

    def run_of(self, row: int) -> int:
        """The run that a row belongs to."""
        if self.runs is None:
            return row
        return int(np.searchsorted(self._first_rows(self.runs), row, side="right")) - 1

    def _first_rows(self, runs: Int64) -> Int64:
        if self._starts is None:
            self._starts = np.cumsum(runs) - runs
        return self._starts


@dataclass(slots=True)
class Batch:
    """Readings that were accepted: one row a value. Times in µs since 1970 UTC."""

    series: Int32
    times: Int64
    values: Float64

    def __len__(self) -> int:
        return len(self.series)

    def at(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Batch:
        """The rows of a mask or of an index array, in its order."""
        return Batch(self.series[rows], self.times[rows], self.values[rows])


def joined(batches: list[Batch]) -> Batch:
    """Several batches as one, in their order."""
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return Batch(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float64))
    return Batch(
        np.concatenate([batch.series for batch in batches]),
        np.concatenate([batch.times for batch in batches]),
        np.concatenate([batch.values for batch in batches]),
    )
