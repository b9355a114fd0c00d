"""Who may use which route. A new route needs a line here: until then `test_closed` fails, and says which one is missing.

    "api/v1/things/<int:id>": api(GET=("viewer", "read:stats"), DELETE=("administrator", "manage:devices"), of="thing"),
    "things/": page(GET="viewer"),
    **model("telemetry/thing", look="operator", change="administrator"),

The first word is the least role; of the API, the scopes follow of which a token needs one. ``of`` names the thing of
`closed.World` that stands in the route; who is restricted to another group must not find it, unless ``shared``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ROUTES", "Entry"]

ANYBODY, VIEWER, OPERATOR, ADMINISTRATOR, NOBODY = "anybody", "viewer", "operator", "administrator", "nobody"
LOOK = "read:stats manage:devices"
LOOK_RULES = "read:stats manage:thresholds"
DEVICES, RULES, ADMIN, READINGS = "manage:devices", "manage:thresholds", "admin", "read:readings"
ASKING = "read:stats read:readings admin"


@dataclass(frozen=True)
class Entry:
    """``methods``: method → (least role, scopes). ``kind``: api, page (sends to a login), admin (for staff) or open."""

    kind: str
    methods: Mapping[str, tuple[str, str]]
    of: str = ""
    #: A thing that belongs to no group: whoever is restricted finds it too.
    shared: bool = False
    #: A device's key is of use here.
    keys: bool = False
    #: A thing of one person, which others of that role do not find.
    own: bool = False


def api(
    of: str = "", *, shared: bool = False, keys: bool = False, own: bool = False, **methods: tuple[str, str]
) -> Entry:
    return Entry("api", methods, of, shared, keys, own)


def page(of: str = "", *, shared: bool = False, own: bool = False, **methods: str) -> Entry:
    return Entry("page", {method: (role, "") for method, role in methods.items()}, of, shared, own=own)


def staff(of: str = "", *, shared: bool = False, **methods: str) -> Entry:
    return Entry("admin", {method: (role, "") for method, role in methods.items()}, of, shared)


def anybody(*methods: str) -> Entry:
    return Entry("open", dict.fromkeys(methods or ("GET",), (ANYBODY, "")))


def model(
    path: str, look: str, add: str = NOBODY, change: str = NOBODY, delete: str = NOBODY, *, shared: bool = False
) -> dict[str, Entry]:
    """The admin's own pages of a model, "telemetry/device"."""
    of, root = path.partition("/")[2], f"admin/{path}/"
    one = f"{root}<path:object_id>/"
    return {
        root: staff(GET=look),
        f"{root}add/": staff(GET=add, POST=add),
        f"{one}history/": staff(of, GET=look, shared=shared),
        f"{one}delete/": staff(of, GET=delete, POST=delete, shared=shared),
        f"{one}change/": staff(of, GET=look, POST=change, shared=shared),
        one: staff(of, GET=OPERATOR, shared=True),  # sends on to change/
    }


_ONE_DEVICE = {"PUT": (OPERATOR, DEVICES), "PATCH": (OPERATOR, DEVICES), "DELETE": (ADMINISTRATOR, DEVICES)}
_ONE_THING = dict.fromkeys(("PUT", "PATCH", "DELETE"), (ADMINISTRATOR, DEVICES))
_ONE_RULE = dict.fromkeys(("PUT", "PATCH", "DELETE"), (OPERATOR, RULES))
_ONE_SETTING = dict.fromkeys(("GET", "PUT", "PATCH", "DELETE"), (ADMINISTRATOR, ADMIN))
_ONE_EXPORT = dict.fromkeys(("PUT", "PATCH", "DELETE"), (OPERATOR, ASKING))

ROUTES: dict[str, Entry] = {
    # --- the API: devices and readings ---
    "api/v1/readings": api(GET=(VIEWER, READINGS)),  # POST is taken before Django: tests/telemetry/gateways
    "api/v1/aggregates": api(GET=(VIEWER, "read:stats")),
    "api/v1/latest": api(GET=(VIEWER, "read:stats")),
    "api/v1/receipts/<str:receipt>": api("receipt", GET=(VIEWER, f"read:stats {READINGS}"), keys=True),
    "api/v1/devices": api(GET=(VIEWER, LOOK), POST=(ADMINISTRATOR, DEVICES)),
    "api/v1/devices/<str:name>": api("device", GET=(VIEWER, LOOK), **_ONE_DEVICE),
    "api/v1/devices/<str:name>/latest": api("device", GET=(VIEWER, "read:stats")),
    "api/v1/devices/<str:name>/keys": api("device", GET=(ADMINISTRATOR, DEVICES), POST=(ADMINISTRATOR, DEVICES)),
    "api/v1/devices/<str:name>/keys/<int:id>": api(
        "devicekey", GET=(ADMINISTRATOR, DEVICES), DELETE=(ADMINISTRATOR, DEVICES)
    ),
    "api/v1/device-types": api(GET=(VIEWER, LOOK), POST=(ADMINISTRATOR, DEVICES)),
    "api/v1/device-types/<str:name>": api("devicetype", GET=(VIEWER, LOOK), **_ONE_THING, shared=True),
    "api/v1/groups": api(GET=(VIEWER, LOOK), POST=(ADMINISTRATOR, DEVICES)),
    "api/v1/groups/<path:path>": api("devicegroup", GET=(VIEWER, LOOK), **_ONE_THING),
    "api/v1/keys": api(GET=(ADMINISTRATOR, DEVICES), POST=(ADMINISTRATOR, DEVICES)),
    "api/v1/keys/<int:id>": api("devicekey", GET=(ADMINISTRATOR, DEVICES), DELETE=(ADMINISTRATOR, DEVICES)),
    "api/v1/quarantine": api(GET=(VIEWER, READINGS)),
    "api/v1/quarantine/<int:id>": api("quarantinedreading", GET=(VIEWER, READINGS)),
    "api/v1/quarantine/<int:id>/replay": api("quarantinedreading", POST=(OPERATOR, "write:readings")),
    "api/v1/quarantine/<int:id>/discard": api("quarantinedreading", POST=(OPERATOR, "write:readings")),
    # --- the API: thresholds and alerts ---
    "api/v1/thresholds": api(GET=(VIEWER, LOOK_RULES), POST=(OPERATOR, RULES)),
    "api/v1/thresholds/preview": api(POST=(VIEWER, LOOK_RULES)),
    "api/v1/thresholds/check": api(POST=(VIEWER, LOOK_RULES)),
    "api/v1/thresholds/export": api(GET=(VIEWER, LOOK_RULES)),
    "api/v1/thresholds/import": api(POST=(OPERATOR, RULES)),
    "api/v1/thresholds/<int:id>": api("threshold", GET=(VIEWER, LOOK_RULES), **_ONE_RULE),
    "api/v1/alerts": api(GET=(VIEWER, LOOK_RULES)),
    "api/v1/alerts/bulk": api(POST=(OPERATOR, RULES)),
    "api/v1/alerts/<int:id>": api("alert", GET=(VIEWER, LOOK_RULES)),
    **{
        f"api/v1/alerts/<int:id>/{action}": api("alert", POST=(OPERATOR, RULES))
        for action in ("acknowledge", "unacknowledge", "assign", "comment", "resolve")
    },
    "api/v1/silences": api(GET=(VIEWER, LOOK_RULES), POST=(OPERATOR, RULES)),
    "api/v1/silences/<int:id>": api("silence", GET=(VIEWER, LOOK_RULES), **_ONE_RULE),
    "api/v1/channels": api(GET=(ADMINISTRATOR, ADMIN), POST=(ADMINISTRATOR, ADMIN)),
    "api/v1/channels/<int:id>": api("channel", **_ONE_SETTING, shared=True),
    "api/v1/channels/<int:id>/test": api("channel", POST=(ADMINISTRATOR, ADMIN), shared=True),
    "api/v1/routes": api(GET=(VIEWER, ADMIN), POST=(ADMINISTRATOR, ADMIN)),
    "api/v1/routes/<int:id>": api("route", **_ONE_SETTING | {"GET": (VIEWER, ADMIN)}, shared=True),
    # --- the API: exports ---
    "api/v1/saved-queries": api(GET=(VIEWER, ASKING), POST=(OPERATOR, ASKING)),
    "api/v1/saved-queries/<int:id>": api("export", GET=(VIEWER, ASKING), **_ONE_EXPORT, own=True),
    "api/v1/exports": api(GET=(VIEWER, ASKING), POST=(OPERATOR, ASKING)),
    "api/v1/exports/<int:id>": api("export", GET=(VIEWER, ASKING), **_ONE_EXPORT, own=True),
    "api/v1/exports/<int:id>/run": api("export", POST=(OPERATOR, ASKING), own=True),
    "api/v1/exports/<int:id>/runs": api("export", GET=(VIEWER, ASKING), own=True),
    "api/v1/exports/<int:id>/runs/<int:run>": api("export", GET=(VIEWER, ASKING), own=True),
    "api/v1/exports/<int:id>/runs/<int:run>/file": api("export", GET=(VIEWER, ASKING), own=True),
    # --- the API: access, and itself ---
    "api/v1/audit": api(GET=(ADMINISTRATOR, ADMIN)),
    "api/v1/audit/export": api(GET=(ADMINISTRATOR, ADMIN)),
    "api/v1/users": api(GET=(ADMINISTRATOR, ADMIN), POST=(ADMINISTRATOR, ADMIN)),
    "api/v1/users/<int:id>": api("user", **_ONE_SETTING, shared=True),
    "api/v1/users/<int:id>/unlock": api("user", POST=(ADMINISTRATOR, ADMIN), shared=True),
    "api/v1/users/<int:id>/sign-out": api("user", POST=(ADMINISTRATOR, ADMIN), shared=True),
    "api/v1/users/me": api(
        GET=(VIEWER, f"read:stats {READINGS} write:readings manage:thresholds manage:devices admin")
    ),
    "api/v1/users/me/password": api(POST=(VIEWER, ADMIN)),
    "api/v1/roles": api(GET=(ADMINISTRATOR, ADMIN)),
    "api/v1/auth/token": anybody("POST"),
    "api/v1/auth/token/refresh": anybody("POST"),
    "api/v1/auth/token/revoke": anybody("POST"),
    "api/v1/schema": anybody(),
    "api/v1/docs": anybody(),
    "healthz": anybody(),
    "readyz": anybody(),
    "metrics": anybody(),  # for METRICS_NETWORKS: tests/iotplatform/observability
    # --- the dashboard ---
    "": page(GET=VIEWER),
    "login/": anybody("GET", "POST"),
    "logout/": anybody("POST"),
    "live/nav": page(GET=VIEWER),
    "devices/": page(GET=VIEWER),
    "devices/new": page(GET=ADMINISTRATOR),
    "devices/<str:name>/": page("device", GET=VIEWER),
    "devices/<str:name>/alerts.json": page("device", GET=VIEWER),
    "explore/": page(GET=VIEWER),
    "explore/metrics.json": page(GET=VIEWER),
    "alerts/": page(GET=VIEWER),
    "alerts/sparks": page(GET=VIEWER),
    "alerts/silences/": page(GET=VIEWER),
    "alerts/<int:id>/": page("alert", GET=VIEWER),
    "thresholds/": page(GET=VIEWER),
    "thresholds/new": page(GET=OPERATOR),
    "thresholds/<int:id>/": page("threshold", GET=VIEWER),
    "exports/": page(GET=VIEWER),
    "exports/new": page(GET=OPERATOR, POST=OPERATOR),
    "exports/<int:id>/": page("export", GET=VIEWER, own=True),
    "exports/<int:id>/edit": page("export", GET=OPERATOR, POST=OPERATOR, own=True),
    "exports/<int:id>/run": page("export", POST=OPERATOR, own=True),
    "exports/<int:id>/delete": page("export", POST=OPERATOR, own=True),
    "exports/queries/<int:id>/delete": page("export", POST=OPERATOR, own=True),
    "exports/runs/<int:id>/file": page("exportrun", GET=VIEWER, own=True),
    # --- the admin ---
    "admin/": staff(GET=OPERATOR),
    "admin/login/": anybody("GET", "POST"),
    "admin/logout/": anybody("POST"),
    "admin/password_change/": staff(GET=OPERATOR, POST=OPERATOR),
    "admin/password_change/done/": staff(GET=OPERATOR),
    "admin/search/": staff(GET=OPERATOR),
    "admin/jsi18n/": staff(GET=OPERATOR),
    "admin/autocomplete/": staff(GET=NOBODY),  # nothing without the name of a field; then what its page shows
    "admin/r/<path:content_type_id>/<path:object_id>/": staff("nothing", GET=OPERATOR, shared=True),
    "admin/^(?P<app_label>auth|telemetry|thresholds|alerts)/$": staff("app", GET=OPERATOR, shared=True),
    "admin/(?P<url>.*)$": staff("nothing", GET=OPERATOR, shared=True),
    **model("auth/user", ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, shared=True),
    "admin/auth/user/<id>/password/": staff("user", GET=ADMINISTRATOR, POST=ADMINISTRATOR, shared=True),
    **model("auth/group", ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, shared=True),
    **model("telemetry/auditentry", ADMINISTRATOR, shared=True),
    **model("telemetry/device", OPERATOR, ADMINISTRATOR, OPERATOR, ADMINISTRATOR),
    "admin/telemetry/device/<path:object_id>/hand-out-key/": staff("device", GET=ADMINISTRATOR, shared=True),
    **model("telemetry/devicetype", OPERATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, shared=True),
    **model("telemetry/devicegroup", OPERATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    **model("telemetry/devicekey", ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR),
    **model("telemetry/quarantinedreading", OPERATOR, change=OPERATOR),
    "admin/telemetry/quarantinedreading/<path:object_id>/replay/": staff(
        "quarantinedreading", GET=OPERATOR, POST=OPERATOR
    ),
    **model("telemetry/series", OPERATOR),
    **model("telemetry/savedquery", OPERATOR),
    **model("telemetry/scheduledexport", OPERATOR),
    **model("telemetry/exportrun", OPERATOR),
    **model("thresholds/threshold", OPERATOR, OPERATOR, OPERATOR, OPERATOR),
    "admin/thresholds/threshold/draft/preview/": staff(POST=OPERATOR),
    "admin/thresholds/threshold/draft/sentence/": staff(POST=OPERATOR),
    "admin/thresholds/threshold/<int:pk>/preview/": staff("threshold", GET=OPERATOR),
    **model("alerts/alert", OPERATOR, change=OPERATOR),
    **model("alerts/channel", ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, shared=True),
    **model("alerts/message", ADMINISTRATOR),
    **model("alerts/route", OPERATOR, ADMINISTRATOR, ADMINISTRATOR, ADMINISTRATOR, shared=True),
    **model("alerts/silence", OPERATOR, OPERATOR, OPERATOR, OPERATOR),
}
