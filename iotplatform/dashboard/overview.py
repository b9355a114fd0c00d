"""Is anything wrong, what, since when, who has it?"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from iotplatform.dashboard.page import answer, page

__all__ = ["overview"]


@require_safe
@page("telemetry.view_device")
def overview(request: HttpRequest) -> HttpResponse:
    return answer(request, "dashboard/overview/page.html", part="dashboard/overview/part.html")
