"""POST a list of readings: validate with a serializer, hand them to Celery, answer 202."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks.baselines.naive.serializers import ReadingSerializer, TunedReadingSerializer
from benchmarks.baselines.naive.tasks import store


class Readings(APIView):
    serializer_class = ReadingSerializer

    def post(self, request: Request) -> Response:
        serializer = self.serializer_class(data=request.data, many=True)
        serializer.is_valid(raise_exception=True)
        store.delay(request.data)
        return Response({"accepted": len(request.data)}, status=202)


class TunedReadings(Readings):
    serializer_class = TunedReadingSerializer
