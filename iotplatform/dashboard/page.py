"""What every page shares: who may see it, and that it answers a part of itself to whoever keeps it up to date."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers

__all__ = ["answer", "is_live", "page", "refused", "viewer_zone"]

View = Callable[..., HttpResponse]


def page(*permissions: str) -> Callable[[View], View]:
    """Signed in, and with all of these permissions ("telemetry.view_device"); else the login, or 403 in words."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                if is_live(request):
                    return HttpResponse(status=401)
                return redirect_to_login(request.get_full_path(), reverse("dashboard:login"))
            if not request.user.has_perms(permissions):
                return refused(request)
            return view(request, *args, **kwargs)

        # What the view asks for, for whoever lists all routes with their permissions.
        guarded.permissions = permissions  # type: ignore[attr-defined]
        return guarded

    return decorate


def refused(request: HttpRequest) -> HttpResponse:
    """403, with what to do about it."""
    return answer(request, "dashboard/refused.html", status=403)


def is_live(request: HttpRequest) -> bool:
    """Whether live.js asks for the inside of an element (its id is the header's value) instead of the page."""
    return "X-Live" in request.headers


def answer(
    request: HttpRequest, template: str, context: dict[str, Any] | None = None, *, part: str = "", status: int = 200
) -> HttpResponse:
    """The page, or where live.js asks, the template of its part. Never cached: it may be somebody else's next time."""
    response = render(request, part if part and is_live(request) else template, context, status=status)
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, ["X-Live", "Cookie"])
    return response


def viewer_zone(request: HttpRequest) -> ZoneInfo:
    """The zone that times.js shows times in; UTC where it has not said so yet."""
    try:
        return ZoneInfo(request.COOKIES.get("zone", "UTC").replace("%2F", "/"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
