"""Files in an S3-compatible store. An object appears under its key when all of it has arrived, never in part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings

from telemetry.exports.egress import check_endpoint
from telemetry.exports.failures import ExportFailure, ExportRefused

__all__ = ["address_of", "put"]

_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 30, 3
#: An upload in parts of so many bytes: what is in memory is that, whatever the size of the file.
_PART = 16 * 1024 * 1024
_ADDRESS_SECONDS = 300
#: What no repetition mends.
_REFUSALS = ("AccessDenied", "InvalidAccessKeyId", "NoSuchBucket", "SignatureDoesNotMatch", "403", "404")


def put(path: Path, location: str, sha256: str, progress: Callable[[], None]) -> None:
    """Store the file below the prefix; `progress` is called with each part and may raise. Raises ExportFailure."""
    from boto3.s3.transfer import TransferConfig

    platform, size = settings.PLATFORM, path.stat().st_size
    with _words():
        client = _client()
        client.upload_file(
            str(path),
            platform.export_s3_bucket,
            _key(location),
            ExtraArgs={"Metadata": {"sha256": sha256}},
            # In this thread, whose database connection `progress` uses.
            Config=TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART, use_threads=False),
            Callback=lambda _: progress(),
        )
        stored = client.head_object(Bucket=platform.export_s3_bucket, Key=_key(location))["ContentLength"]
    if stored != size:
        raise ExportFailure(f"The store has {stored:,} bytes of {size:,}.")


def address_of(location: str, name: str) -> str:
    """A URL that gives the object to whoever has it, for five minutes. Nothing is sent for it."""
    asked = {
        "Bucket": settings.PLATFORM.export_s3_bucket,
        "Key": _key(location),
        "ResponseContentDisposition": f'attachment; filename="{name}"',
    }
    return str(_client().generate_presigned_url("get_object", asked, ExpiresIn=_ADDRESS_SECONDS))


def _key(location: str) -> str:
    prefix = settings.PLATFORM.export_s3_prefix.strip("/")
    return f"{prefix}/{location}" if prefix else location


def _client() -> Any:
    """Raises ExportRefused where no store is configured, or it lies where it may not."""
    # Here, not above: 30 MiB of a process's memory, for those that speak to a store only.
    import boto3
    from botocore.config import Config

    platform = settings.PLATFORM
    if not platform.export_s3_endpoint:
        raise ExportRefused("No store is configured: set EXPORT_S3_ENDPOINT and what goes with it.")
    check_endpoint(platform.export_s3_endpoint, platform.export_s3_allow)
    return boto3.session.Session().client(
        "s3",
        endpoint_url=platform.export_s3_endpoint,
        region_name=platform.export_s3_region,
        aws_access_key_id=platform.export_s3_access_key,
        aws_secret_access_key=platform.export_s3_secret_key,
        config=Config(
            signature_version="s3v4",
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            # The address of a bucket in the path works with every store; checksums beyond the signature do not.
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # Neither the environment's proxies nor its credentials: what counts is in our own settings.
            proxies={},
        ),
    )


@contextmanager
def _words() -> Iterator[None]:
    """What a store answers, or does not, as ExportFailure."""
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _failure(error) from error
    except S3UploadFailedError as error:
        cause = error.__cause__ or error.__context__
        raise (_failure(cause) if isinstance(cause, ClientError) else ExportFailure(f"{error}")) from error
    except BotoCoreError as error:
        raise ExportFailure(f"The store does not answer: {error}") from error


def _failure(error: Any) -> ExportFailure:
    said = error.response.get("Error", {})
    code, text = str(said.get("Code", "")), str(said.get("Message", ""))
    kind = ExportRefused if code in _REFUSALS else ExportFailure
    return kind(f"The store refused it: {code} {text}".rstrip()[:1000])
