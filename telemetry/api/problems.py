"""Every error of the API as application/problem+json (RFC 9457).

`errors` lists what is wrong with the input: `{"index": number|null, "field": text|null, "code": text, "detail": text}`,
where `index` counts the items of a list that was sent and `field` is a dotted path such as ``metrics.0.high``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import redis
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.models import ProtectedError
from django.http import Http404, HttpResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from telemetry.api.errors import Conflict, PayloadTooLarge, Unavailable

__all__ = ["CONTENT_TYPE", "exception_handler", "faults_of", "phrase", "problem_response"]

CONTENT_TYPE = "application/problem+json"

Problem = dict[str, Any]


def problem_response(
    status: int,
    title: str,
    detail: str,
    errors: Sequence[Problem] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """One problem document. `title` is the same for every problem of its kind, `detail` is about this one."""
    body: Problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if errors is not None:
        body["errors"] = errors
    return HttpResponse(json.dumps(body), status=status, content_type=CONTENT_TYPE, headers=headers)


def phrase(status: int) -> str:
    """The usual title of a status code, such as "Not Found"."""
    return HTTPStatus(status).phrase


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """Django REST framework's hook: the problem that an exception stands for, None where it is a fault of ours."""
    known = _as_api_exception(exc)
    if known is None:
        return None
    set_rollback()
    if isinstance(known, exceptions.ValidationError):
        return _invalid(known)
    return problem_response(known.status_code, phrase(known.status_code), _text(known.detail), headers=_headers(known))


def _as_api_exception(exc: Exception) -> exceptions.APIException | None:
    match exc:
        case exceptions.APIException():
            return exc
        case Http404():
            return exceptions.NotFound(str(exc) or None)
        case PermissionDenied():
            return exceptions.PermissionDenied(str(exc) or None)
        case ProtectedError():
            return Conflict(exc.args[0])
        case IntegrityError():
            return Conflict("Somebody changed the same thing at the same moment: look at it again and repeat.")
        case DataError():
            return exceptions.ParseError("A value is outside of what can be stored.")
        case UnreadablePostError():
            return exceptions.ParseError("The body could not be read to its end.")
        case RequestDataTooBig():
            return PayloadTooLarge()
        case SuspiciousOperation():
            return exceptions.ParseError(str(exc) or None)
        case OperationalError() | InterfaceError():
            return Unavailable("The database does not answer; try again shortly.")
        case redis.RedisError():
            return Unavailable("The log or the cache does not answer; try again shortly.")
    return None


def _headers(exc: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(max(1, round(wait)))
    return headers


def faults_of(exc: exceptions.ValidationError) -> list[Problem]:
    """What is wrong with the input, one entry each, as `errors` lists it."""
    return list(_flatten(exc.detail))


def _invalid(exc: exceptions.ValidationError) -> HttpResponse:
    errors = faults_of(exc)
    first = errors[0]
    detail = f"{first['field']}: {first['detail']}" if first["field"] else first["detail"]
    if len(errors) > 1:
        detail = f"{len(errors)} things are wrong. The first: {detail}"
    return problem_response(exc.status_code, "Invalid input", detail, errors)


def _flatten(detail: Any, index: int | None = None, path: tuple[str, ...] = ()) -> Iterator[Problem]:
    """The errors in the framework's tree of dicts (fields) and lists (messages, or items of a list)."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = name in (api_settings.NON_FIELD_ERRORS_KEY, "detail")
            yield from _flatten(inner, index, path if own else (*path, str(name)))
    elif isinstance(detail, list | tuple):
        for number, inner in enumerate(detail):
            if not isinstance(inner, Mapping | list | tuple):
                yield from _flatten(inner, index, path)
            elif path:
                yield from _flatten(inner, index, (*path, str(number)))
            else:
                yield from _flatten(inner, number)
    else:
        code = getattr(detail, "code", "invalid")
        yield {"index": index, "field": ".".join(path) or None, "code": code, "detail": str(detail)}


def _text(detail: Any) -> str:
    """The sentence in an exception's detail, which some authenticators wrap in a dict."""
    if isinstance(detail, Mapping):
        return _text(detail.get("detail", next(iter(detail.values()), "")))
    if isinstance(detail, list | tuple):
        return " ".join(_text(each) for each in detail)
    return str(detail)
