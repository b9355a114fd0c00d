"""Users, their roles and what they see, in the admin. For administrators: who gives rights could give himself any."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from unfold.admin import ModelAdmin, StackedInline
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from iotplatform.access import events, lockout, people, tokens
from iotplatform.access.people import LastAdministrator
from iotplatform.access.roles import Role, role_of
from telemetry.audit import audit
from telemetry.models import DeviceSight

__all__ = ["RoleAdmin", "UserAdmin"]

admin.site.login_form = lockout.AdminLoginForm
admin.site.unregister(User)
admin.site.unregister(Group)
_ROLES = [role.value for role in Role]


class _ForAdministrators:
    """Mixed into the pages of who may do what."""

    def _allowed(self, request: HttpRequest) -> bool:
        return request.user.is_active and role_of(request.user) == Role.ADMINISTRATOR

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._allowed(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request)


class DeviceSightInline(_ForAdministrators, StackedInline):
    """With one, only these groups (and what lies below them) are seen; without one, all devices are."""

    model = DeviceSight
    autocomplete_fields = ["groups"]
    extra = 0
    verbose_name = "restriction to device groups"
    verbose_name_plural = "Restricted to device groups"


@admin.register(User)
class UserAdmin(_ForAdministrators, BaseUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "role", "sees", "email", "is_active", "locked", "last_login"]
    list_filter = ["groups", "is_active", "is_superuser"]
    inlines = [DeviceSightInline]
    actions = ["unlock", "sign_out"]
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["username", "password", ("first_name", "last_name"), "email"]}),
        ("What this person may do", {"fields": ["groups", ("is_active", "is_staff", "is_superuser")]}),
        ("Single permissions", {"classes": ["collapse"], "fields": ["user_permissions"]}),
        ("When", {"classes": ["collapse"], "fields": [("last_login", "date_joined")]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).select_related("device_sight").prefetch_related("groups")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A superuser is changed by superusers only: an administrator's new password for one must not be a way up."""
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or request.user.is_superuser or not obj.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        own = super().get_readonly_fields(request, obj)
        return own if request.user.is_superuser else [*own, "is_superuser"]

    @display(description="Role")
    def role(self, user: User) -> str:
        return "superuser" if user.is_superuser else str(role_of(user) or "")

    @display(description="Sees")
    def sees(self, user: User) -> str:
        sight = getattr(user, "device_sight", None)
        return "all devices" if sight is None else ", ".join(group.path for group in sight.groups.all()) or "no device"

    @display(description="Has to wait", boolean=True)
    def locked(self, user: User) -> bool:
        return user.username.casefold() in lockout.locked_names(timezone.now())

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._keeping(request, lambda: super(UserAdmin, self).changeform_view(request, *args, **kwargs))

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return self._keeping(request, lambda: super(UserAdmin, self).delete_view(request, *args, **kwargs))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return self._keeping(request, lambda: super(UserAdmin, self).changelist_view(request, extra_context))

    def _keeping(self, request: HttpRequest, view: Any) -> HttpResponse:
        """A change that would leave no administrator is undone as a whole."""
        try:
            with transaction.atomic():
                if request.method == "POST":
                    people.hold_people()
                answer: HttpResponse = view()
                return answer
        except LastAdministrator as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        request.before = people.document(User.objects.get(pk=obj.pk)) if change else None  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        user = User.objects.get(pk=form.instance.pk)
        if role_of(user) in (Role.OPERATOR, Role.ADMINISTRATOR) and not user.is_staff:
            user.is_staff = True
            user.save(update_fields=["is_staff"])
        people.keep_an_administrator()
        if not user.is_active:
            tokens.revoke_all(user)
        people.audited(user, request.user, request.before)  # type: ignore[attr-defined]

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():
            stored = User.objects.filter(pk=id).first() if id.isdecimal() and len(id) < 10 else None
            answer: HttpResponse = super().user_change_password(request, id, form_url)
            changed = None if stored is None else User.objects.get(pk=stored.pk)
            if changed is not None and stored is not None and changed.password != stored.password:
                tokens.revoke_all(changed)
                people.audited(changed, request.user, people.document(changed), password="new")  # noqa: S106
        return answer

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        self._delete(request, obj)
        people.keep_an_administrator()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            if self.has_delete_permission(request, user):
                self._delete(request, user)
        people.keep_an_administrator()

    def _delete(self, request: HttpRequest, user: User) -> None:
        audit("user", user.pk, user.username, "deleted", request.user, people.document(user), None)
        user.delete()

    @admin.action(description="Let the selected users try to log in again", permissions=["change"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        names = [user.username for user in queryset if lockout.unlock(user.username)]
        for name in names:
            events.unlocked(name, request.user)
        messages.success(request, f"{len(names)} users may try again.")

    @admin.action(description="End all tokens of the selected users", permissions=["change"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        ended = 0
        for user in queryset:
            if number := tokens.revoke_all(user):
                audit("token", user.pk, user.username, "revoked", request.user, None, {"logins": number})
                ended += number
        messages.success(request, f"{ended} logins of programs ended.")


@admin.register(Group)
class RoleAdmin(_ForAdministrators, BaseGroupAdmin, ModelAdmin):
    """Django's groups of users: what their members may do. The platform's own roles are what they are."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.name not in _ROLES)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Group]) -> None:
        for group in queryset.exclude(name__in=_ROLES):
            self.delete_model(request, group)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = {"permissions": _permissions(Group.objects.get(pk=form.instance.pk))} if change else None
        super().save_related(request, form, formsets, change)
        group = Group.objects.get(pk=form.instance.pk)
        after = {"permissions": _permissions(group)}
        audit("role", group.pk, group.name, "changed" if change else "created", request.user, before, after)

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        audit("role", obj.pk, obj.name, "deleted", request.user, {"permissions": _permissions(obj)}, None)
        super().delete_model(request, obj)


def _permissions(group: Group) -> list[str]:
    codes = group.permissions.values_list("content_type__app_label", "codename")
    return sorted(f"{app}.{codename}" for app, codename in codes)
