"""People: who there is, in which role, and whose devices they see. For administrators; and for everybody about oneself."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate, update_session_auth_hash
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import PermissionDenied, Throttled
from rest_framework.generics import GenericAPIView, ListCreateAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from iotplatform.access import events, lockout, people, tokens
from iotplatform.access.api.user_serializers import MeSerializer, PasswordSerializer, RoleSerializer, UserSerializer
from iotplatform.access.people import LastAdministrator
from iotplatform.access.roles import Role, permissions_of, role_of
from telemetry.api import parameters
from telemetry.api.errors import Conflict
from telemetry.api.lookups import find_numbered
from telemetry.api.permissions import Scoped
from telemetry.audit import audit
from telemetry.scopes import ADMIN, SCOPES

__all__ = ["Me", "MyPassword", "RoleList", "UserDetail", "UserList", "UserSignOut", "UserUnlock"]


class ForAdministrators(Scoped, BasePermission):
    """Who gives rights could give himself any: so it takes the highest role, not single permissions."""

    message = "Users and roles are managed by administrators."

    def has_permission(self, request: Request, view: APIView) -> bool:
        known = request.user is not None and request.user.is_authenticated
        return known and role_of(request.user) == Role.ADMINISTRATOR and self.has_scope(request, view)


class ForAnybodyKnown(Scoped, BasePermission):
    """Whoever has logged in."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return bool(request.user and request.user.is_authenticated) and self.has_scope(request, view)


class _Users(GenericAPIView):
    queryset = User.objects.prefetch_related("groups")
    serializer_class = UserSerializer
    permission_classes = [ForAdministrators]
    required_scopes = ADMIN


class UserList(_Users, ListCreateAPIView):
    """Users, by name."""

    cursor_field = "username"

    @extend_schema(
        parameters=[
            OpenApiParameter("q", str, description="Part of the name or the email address."),
            OpenApiParameter("role", str, enum=[role.value for role in Role]),
            OpenApiParameter("active", bool),
        ]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def filter_queryset(self, queryset: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
        request = self.request
        if term := parameters.text(request, "q"):
            named = (Q(**{f"{name}__icontains": term}) for name in ("first_name", "last_name", "email"))
            condition = Q(username__icontains=term)
            for each in named:
                condition |= each
            queryset = queryset.filter(condition)
        if role := parameters.choice(request, "role", [role.value for role in Role]):
            queryset = queryset.filter(groups__name=role)
        if (active := parameters.flag(request, "active")) is not None:
            queryset = queryset.filter(is_active=active)
        return queryset

    @transaction.atomic
    def perform_create(self, serializer: Any) -> None:
        people.hold_people()
        made = serializer.save()
        people.audited(made, self.request.user, None)


class UserDetail(_Users, RetrieveUpdateDestroyAPIView):
    """One user, by id. Who did something is better switched off (`active`) than deleted."""

    def get_object(self) -> User:
        user: User = find_numbered(self.get_queryset(), "user", self.kwargs["id"])
        if self.request.method in ("PUT", "PATCH", "DELETE"):
            may_change(self.request.user, user)
        return user

    @transaction.atomic
    def perform_update(self, serializer: Any) -> None:
        people.hold_people()
        before, password = people.document(serializer.instance), "password" in serializer.validated_data
        changed = serializer.save()
        _keep()
        if password or not changed.is_active:
            tokens.revoke_all(changed)
        people.audited(changed, self.request.user, before, **({"password": "new"} if password else {}))

    @transaction.atomic
    def perform_destroy(self, instance: User) -> None:
        people.hold_people()
        before, pk = people.document(instance), instance.pk
        instance.delete()
        _keep()
        audit("user", pk, instance.username, "deleted", self.request.user, before, None)


class _UserAction(_Users):
    def found(self) -> User:
        user: User = find_numbered(self.get_queryset(), "user", self.kwargs["id"])
        may_change(self.request.user, user)
        return user


class UserUnlock(_UserAction):
    @extend_schema(operation_id="users_unlock", request=None, responses=UserSerializer)
    def post(self, request: Request, id: int) -> Response:
        """Forget the failed logins of a user: the next one is tried at once."""
        user = self.found()
        if lockout.unlock(user.username):
            events.unlocked(user.username, request.user)
        return Response(self.get_serializer(user).data)


class UserSignOut(_UserAction):
    @extend_schema(operation_id="users_sign_out", request=None, responses={204: None})
    def post(self, request: Request, id: int) -> Response:
        """End all tokens of a user. (Sessions end with a new password, or by switching the user off.)"""
        user = self.found()
        if number := tokens.revoke_all(user):
            audit("token", user.pk, user.username, "revoked", request.user, None, {"logins": number})
        return Response(status=status.HTTP_204_NO_CONTENT)


class RoleList(GenericAPIView):
    queryset = Group.objects.all()
    permission_classes = [ForAdministrators]
    required_scopes = ADMIN
    serializer_class = RoleSerializer
    pagination_class = None

    @extend_schema(operation_id="roles", responses=RoleSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The roles, from the least to the most, with what each may do."""
        return Response([_role(role) for role in Role])


class Me(GenericAPIView):
    permission_classes = [ForAnybodyKnown]
    serializer_class = MeSerializer
    required_scopes = tuple(SCOPES)

    @extend_schema(operation_id="me")
    def get(self, request: Request) -> Response:
        """Who asks, and what one may do."""
        return Response(self.get_serializer(request.user).data)


class MyPassword(GenericAPIView):
    permission_classes = [ForAnybodyKnown]
    serializer_class = PasswordSerializer
    #: A token must not be enough to take an account over.
    required_scopes = ADMIN

    @extend_schema(operation_id="my_password", responses={204: None})
    def post(self, request: Request) -> Response:
        """Change one's own password. All tokens end; this session goes on."""
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        said = serializer.validated_data
        user: Any = request.user
        if authenticate(request._request, username=user.get_username(), password=said["current"], again=True) is None:
            if wait := lockout.wait_of(request):
                raise Throttled(wait, lockout.waiting_text(wait))
            raise serializers.ValidationError({"current": "This is not your password."}, "wrong")
        with transaction.atomic():
            before = people.document(user)
            user.set_password(said["new"])
            user.save(update_fields=["password"])
            tokens.revoke_all(user)
            people.audited(user, user, before, password="new")  # noqa: S106 - that there is one, not which
        if request.auth is None:
            update_session_auth_hash(request._request, user)
        return Response(status=status.HTTP_204_NO_CONTENT)


def may_change(by: Any, user: User) -> None:
    """Only a superuser changes a superuser: an administrator's password reset must not be a way up. Raises
    PermissionDenied."""
    if user.is_superuser and not by.is_superuser:
        raise PermissionDenied("A superuser is changed by superusers only.")


def _keep() -> None:
    try:
        people.keep_an_administrator()
    except LastAdministrator as error:
        raise Conflict(str(error)) from error


def _role(role: Role) -> dict[str, Any]:
    codes = permissions_of(role).values_list("content_type__app_label", "codename")
    return {
        "name": role.value,
        "permissions": sorted(f"{app}.{codename}" for app, codename in codes),
        "users": User.objects.filter(groups__name=role.value).count(),
    }
