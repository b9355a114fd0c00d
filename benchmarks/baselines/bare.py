"""The bare endpoint of P2: FastAPI validates a reading with pydantic and does one XADD. No keys, no series, no receipt.

Served by `uvicorn benchmarks.baselines.bare:app` with uvloop and httptools.
"""

from __future__ import annotations

from datetime import datetime

import redis.asyncio
from fastapi import FastAPI
from pydantic import BaseModel

from iotplatform.env import config

_STREAM = "bench:bare"
# The stream must not fill the log's memory; trimming whole nodes costs next to nothing.
_LONGEST_STREAM = 100_000


class Reading(BaseModel):
    device: str
    time: datetime
    metrics: dict[str, float | bool]


app = FastAPI()
_log = redis.asyncio.Redis.from_url(config.server_urls()["redis_url"])


@app.post("/api/v1/readings", status_code=202)
async def accept(reading: Reading) -> dict[str, int]:
    await _log.xadd(_STREAM, {"reading": reading.model_dump_json()}, maxlen=_LONGEST_STREAM, approximate=True)
    return {"accepted": len(reading.metrics)}


@app.get("/healthz")
async def healthz() -> dict[str, bool]:
    return {"ok": True}
