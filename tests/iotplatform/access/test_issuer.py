"""Tokens of an identity provider: a real one, as far as its keys go."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from iotplatform.access import issuer
from iotplatform.access.roles import ensure_roles
from tests.telemetry.api.conftest import Answer, Api, person

pytestmark = pytest.mark.django_db
ISSUER, AUDIENCE = "https://login.example.org/realms/plant", "iot-platform"
KEYS = {
    "RS256": (rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "ES256": (ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
}


class Provider(HTTPServer):
    """Publishes the keys; counts how often it was asked; 500 while ``broken``."""

    asked = 0
    broken = False


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        self.server.asked += 1
        keys = []
        for name, (key, algorithm) in KEYS.items():
            published = json.loads(algorithm.to_jwk(key.public_key()))
            keys.append(published | {"kid": name, "alg": name, "use": "sig"})
        self.send_response(500 if self.server.broken else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"keys": keys}).encode())

    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    server = Provider(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/keys"
    trusted = {"jwt_issuer": ISSUER, "jwt_jwks_url": url, "jwt_audience": AUDIENCE}
    settings.PLATFORM = dataclasses.replace(settings.PLATFORM, **trusted)
    issuer._keys.cache_clear()
    cache.clear()
    yield server
    server.shutdown()
    server.server_close()


def token(algorithm: str = "RS256", **claims: Any) -> str:
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "42", "preferred_username": "ada", "exp": time.time() + 60}
    said |= {"scope": "openid read:stats"} | claims
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, KEYS[algorithm][0], algorithm=algorithm, headers={"kid": algorithm})


def ask(text: str, path: str = "devices") -> Answer:
    return Api(Client(), {"Authorization": f"Bearer {text}"}).get(path)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_stands_for_the_user_of_its_name(provider: Provider, algorithm: str) -> None:
    person("ada", "view_device")
    assert ask(token(algorithm)).status == 200
    assert ask(token(algorithm), "quarantine").status == 403
    assert provider.asked == 1, "its keys are remembered"


def test_its_subject_may_be_the_name(provider: Provider) -> None:
    person("ada", "view_device")
    assert ask(token(preferred_username=None, sub="ada")).status == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": "nobody"},
        {"aud": "another-service"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"iss": "https://elsewhere.example.org"},
    ],
)
def test_a_token_that_is_not_for_us_is_401(provider: Provider, claims: dict[str, Any]) -> None:
    person("ada", "view_device")
    assert ask(token(**claims)).status == 401


def test_without_a_scope_of_ours_it_opens_nothing(provider: Provider) -> None:
    person("ada", "view_device")
    assert ask(token(scope="openid")).status == 403
    assert ask(token(scope=None)).status == 403


def test_the_public_key_is_no_secret_to_sign_with(provider: Provider) -> None:
    person("ada", "view_device")
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public = KEYS["RS256"][0].public_key().public_bytes(*form)
    claims = jwt.decode(token(), options={"verify_signature": False})
    header = {"kid": "RS256"}
    # PyJWT refuses to sign so; an attacker does not ask it.
    signed = jwt.PyJWS()
    signed._algorithms["HS256"].prepare_key = lambda key: key  # type: ignore[method-assign]
    forged = signed.encode(json.dumps(claims).encode(), public, "HS256", header)
    for text in (forged, jwt.encode(claims, "", algorithm="none", headers=header)):
        assert ask(text).status == 401


def test_somebody_elses_key_does_not_count(provider: Provider) -> None:
    person("ada", "view_device")
    other = rsa.generate_private_key(65537, 2048)
    claims = jwt.decode(token(), options={"verify_signature": False})
    assert ask(jwt.encode(claims, other, algorithm="RS256", headers={"kid": "RS256"})).status == 401
    assert ask(jwt.encode(claims, other, algorithm="RS256", headers={"kid": "unknown"})).status == 401


def test_without_its_keys_the_answer_is_503_and_it_is_left_alone_for_a_while(provider: Provider) -> None:
    person("ada", "view_device")
    provider.broken = True
    assert [ask(token()).status for _ in range(3)] == [503, 503, 503]
    assert provider.asked == 1


def test_roles_of_the_token_do_not_count(provider: Provider) -> None:
    ensure_roles()
    person("ada", "view_device")
    assert ask(token(roles=["administrator"], scope="admin")).status == 403
    assert not User.objects.get(username="ada").groups.exists()


def test_unless_a_setting_names_the_claim(provider: Provider, settings: Any) -> None:
    settings.PLATFORM = dataclasses.replace(settings.PLATFORM, jwt_roles_claim="roles")
    ensure_roles()
    User.objects.create_superuser("boss")
    person("ada")
    assert ask(token(roles=["operator", "viewer"])).status == 200
    assert [group.name for group in User.objects.get(username="ada").groups.all()] == ["operator"]
    assert ask(token(roles=[])).status == 403
