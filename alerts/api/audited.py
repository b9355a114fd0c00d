"""Views whose every change is written down, in the transaction of the change."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from rest_framework.generics import GenericAPIView, ListCreateAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.api.documents import document
from telemetry.api.lookups import find_numbered
from telemetry.audit import audit

__all__ = ["AuditedDetail", "AuditedList"]


class _Audited(GenericAPIView):
    #: As the audit and the messages call it.
    kind = ""


class AuditedList(_Audited, ListCreateAPIView):
    cursor_field = "id"

    @transaction.atomic
    def perform_create(self, serializer: Any) -> None:
        made = serializer.save()
        serializer.instance = self.get_queryset().get(pk=made.pk)
        audit(self.kind, made.pk, str(made), "created", self.request.user, None, document(serializer.instance))


class AuditedDetail(_Audited, RetrieveUpdateDestroyAPIView):
    """One thing, by its id. Changes of the same thing wait for each other."""

    def get_object(self) -> Any:
        queryset: QuerySet[Any] = self.get_queryset()
        if self.request.method in ("PUT", "PATCH", "DELETE"):
            queryset = queryset.select_for_update(of=("self",))
        found = find_numbered(queryset, self.kind, self.kwargs["id"])
        self.check_object_permissions(self.request, found)
        return found

    @transaction.atomic
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().update(request, *args, **kwargs)

    @transaction.atomic
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().destroy(request, *args, **kwargs)

    def perform_update(self, serializer: Any) -> None:
        before = document(self.get_queryset().get(pk=serializer.instance.pk))
        made = serializer.save()
        serializer.instance = self.get_queryset().get(pk=made.pk)
        after = document(serializer.instance) | getattr(serializer, "audit_note", {})
        audit(self.kind, made.pk, str(made), "changed", self.request.user, before, after)

    def perform_destroy(self, instance: Any) -> None:
        before, pk = document(instance), instance.pk
        instance.delete()
        audit(self.kind, pk, str(instance), "deleted", self.request.user, before, None)
