"""Files in a store: a real client speaks S3 to a server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer

from telemetry.exports import s3, worker
from telemetry.exports.egress import check_endpoint
from telemetry.exports.failures import ExportFailure, ExportRefused, LeaseLost
from tests.telemetry.api.conftest import Api
from tests.telemetry.exports.conftest import made, make_export


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def store(server: str, settings: Any, exports_folder: Any) -> Any:
    requests.post(f"{server}/moto-api/reset", timeout=10)
    settings.PLATFORM = replace(
        settings.PLATFORM, export_s3_endpoint=server, export_s3_bucket="plant-exports", export_s3_prefix="telemetry/",
        export_s3_region="us-east-1", export_s3_access_key="key", export_s3_secret_key="secret",
        export_s3_allow="127.0.0.0/8",
    )  # fmt: skip
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1", aws_access_key_id="key",
                          aws_secret_access_key="secret")  # fmt: skip
    client.create_bucket(Bucket="plant-exports")
    return client


def test_a_file_goes_to_the_store_and_readers_are_sent_there(
    ann: Any, api: Api, store: Any, exports_folder: Any
) -> None:
    export = make_export(ann, destination="s3", format="parquet")
    run = made(export)
    assert (run.state, run.error) == ("done", "")
    stored = store.get_object(Bucket="plant-exports", Key=f"telemetry/{run.location}")
    assert stored["ContentLength"] == run.bytes
    assert stored["Metadata"]["sha256"] == run.sha256
    assert not [path for path in exports_folder.rglob("*") if path.is_file()], "nothing is left here"
    answer = api.client.get(f"/api/v1/exports/{export.pk}/runs/{run.pk}/file")
    assert answer.status_code == 302
    assert "X-Amz-Expires=300" in answer.headers["Location"]
    fetched = requests.get(answer.headers["Location"], timeout=10)
    assert fetched.content[:4] == b"PAR1"
    assert len(fetched.content) == run.bytes


def test_large_files_go_in_parts_and_stop_when_the_run_is_somebody_elses(
    store: Any, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(s3, "_PART", 5 * 1024 * 1024)
    path = tmp_path / "large"
    path.write_bytes(b"0123456789abcdef" * 65536 * 12)
    calls: list[int] = []
    s3.put(path, "large.csv", "", lambda: calls.append(1))
    assert store.head_object(Bucket="plant-exports", Key="telemetry/large.csv")["ContentLength"] == path.stat().st_size
    assert len(calls) >= 3

    def lost() -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        s3.put(path, "other.csv", "", lost)
    keys = [each["Key"] for each in store.list_objects_v2(Bucket="plant-exports")["Contents"]]
    assert keys == ["telemetry/large.csv"], "never half an object"


def test_a_bucket_that_is_not_there_is_told_and_given_up(ann: Any, store: Any) -> None:
    store.delete_bucket(Bucket="plant-exports")
    run = made(make_export(ann, destination="s3"))
    assert run.state == "given_up"
    assert "NoSuchBucket" in run.error


def test_a_store_that_does_not_answer_is_tried_again(
    ann: Any, store: Any, settings: Any, later: Any, server: str
) -> None:
    settings.PLATFORM = replace(settings.PLATFORM, export_s3_endpoint="http://127.0.0.1:9")
    export = make_export(ann, destination="s3")
    run = made(export)
    assert run.state == "failed"
    assert "Could not connect" in run.error
    settings.PLATFORM = replace(settings.PLATFORM, export_s3_endpoint=server)
    later()
    worker.work()
    run.refresh_from_db()
    assert run.state == "done"


@pytest.mark.parametrize(
    ("url", "addresses", "allow", "why"),
    [
        ("https://s3.example.org", ["93.184.216.34"], "", None),
        ("http://s3.example.org", ["93.184.216.34"], "", "must begin with https://"),
        ("https://minio.plant", ["10.1.2.3"], "", "not a public one"),
        ("http://minio.plant:9000", ["10.1.2.3"], "10.1.0.0/16", None),
        ("https://s3.example.org", ["93.184.216.34", "169.254.169.254"], "10.0.0.0/8", "169.254.169.254"),
        ("https://s3.example.org", ["::ffff:127.0.0.1"], "", "127.0.0.1"),
        ("https://s3.example.org", ["::1"], "127.0.0.0/8", "not a public one"),
    ],
)
def test_where_a_store_may_be(url: str, addresses: list[str], allow: str, why: str | None) -> None:
    if why is None:
        check_endpoint(url, allow, lambda host, port: addresses)
        return
    with pytest.raises(ExportRefused, match=why.replace(".", r"\.")):
        check_endpoint(url, allow, lambda host, port: addresses)


def test_a_name_that_is_not_known_may_be_known_later() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("unknown")

    with pytest.raises(ExportFailure) as failed:
        check_endpoint("https://s3.example.org", "", unknown)
    assert not isinstance(failed.value, ExportRefused)
