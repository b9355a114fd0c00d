"""Where the naive project listens."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.baselines.naive.views import Readings, TunedReadings


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


urlpatterns = [
    path("readings", Readings.as_view()),
    path("tuned", TunedReadings.as_view()),
    path("healthz", healthz),
]
