"""Signing in and out."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView

from iotplatform.access.lockout import LoginForm

__all__ = ["Login", "Logout"]


class Login(LoginView):
    template_name = "dashboard/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True
    next_page = "dashboard:overview"


class Logout(LogoutView):
    next_page = "dashboard:login"
