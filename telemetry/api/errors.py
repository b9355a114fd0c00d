"""Errors of the API beyond the framework's own; `telemetry.api.problems` writes them out."""

from __future__ import annotations

from rest_framework.exceptions import APIException, ValidationError

__all__ = ["Conflict", "PayloadTooLarge", "PreconditionFailed", "TooMuchAsked", "Unavailable"]


class Conflict(APIException):
    """The request is right, but not for the state that the thing is in."""

    status_code = 409
    default_detail = "This collides with the present state."
    default_code = "conflict"


class PayloadTooLarge(APIException):
    """The body is larger than this route takes."""

    status_code = 413
    default_detail = "The body is too large."
    default_code = "too_large"


class PreconditionFailed(APIException):
    """The thing was changed after the version that If-Match names."""

    status_code = 412
    default_detail = "This was changed meanwhile: get it again, and repeat the change."
    default_code = "stale"


class TooMuchAsked(ValidationError):
    """The question is right, but costs more than one may; the sentence says how to ask instead."""

    status_code = 422


class Unavailable(APIException):
    """A service that this one needs does not answer; `wait` seconds later it may."""

    status_code = 503
    default_detail = "A service does not answer; try again shortly."
    default_code = "unavailable"
    wait = 1
