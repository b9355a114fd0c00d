"""How readings are validated: as DRF makes it of the model, and freed from its queries."""

from __future__ import annotations

from rest_framework import serializers

from benchmarks.baselines.naive.models import Device, Reading


class ReadingSerializer(serializers.ModelSerializer):
    """As it comes: for each reading DRF asks the database for its device and whether its unique key is taken."""

    device = serializers.SlugRelatedField(slug_field="name", queryset=Device.objects.all())

    class Meta:
        model = Reading
        fields = ["device", "metric", "time", "value"]


class TunedReadingSerializer(ReadingSerializer):
    """Without those queries: somebody has looked at a profile."""

    device = serializers.CharField(max_length=200)

    class Meta(ReadingSerializer.Meta):
        validators: list[object] = []
