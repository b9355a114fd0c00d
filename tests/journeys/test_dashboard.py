"""The dashboard in a browser: what operators do with it from the first device on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.browser import PASSWORD, Site, axe, open_site, shot

_API = "/static/dashboard/js/api.js"
_LIVE_MS = 4_000  # within 2 s, on a machine that does other things too
#: A platform without a device; pump-1 is registered by the first trip, and seen by the others.
_PEOPLE = """
from django.contrib.auth.models import Group, User
from telemetry.groups import make_group
from telemetry.models import Device, DeviceSight
hall = make_group("plant/hall-1"); make_group("plant/hall-2")
viewer = User.objects.create_user("vera", password="{password}"); viewer.groups.add(Group.objects.get(name="viewer"))
DeviceSight.objects.create(user=viewer).groups.add(hall)
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as running:
        running.platform.manage("shell", "-c", _PEOPLE.format(password=PASSWORD))
        yield running


def shown(page: Page, text: str, within_ms: int = _LIVE_MS) -> None:
    """It is to be read on the page, soon and without a reload."""
    expect(page.get_by_text(text).first).to_be_visible(timeout=within_ms)


def test_from_nothing_to_a_first_device_and_its_first_chart(site: Site) -> None:
    page = site.sign_in()
    shown(page, "No alert is open")
    page.keyboard.press("g")
    page.keyboard.press("d")
    shown(page, "No device yet")
    shot(page, "devices-empty")
    page.get_by_role("link", name="Register a device").first.click()
    page.fill("#name", "a/b")
    page.click("text=Register, and make a key")
    shown(page, "slash")
    page.fill("#name", "pump-1")
    page.select_option("#group", "plant/hall-1")
    page.click("text=Register, and make a key")
    shown(page, "It is shown this once")
    command = page.inner_text("#curl")
    key = page.inner_text("#key").strip()
    assert key in command
    assert f"{site.platform.url}/api/v1/readings" in command
    shot(page, "device-new")
    answer = site.platform.post({"metrics": {"temperature": 21.5}}, key, "?wait=5")
    assert answer.status == 200
    shown(page, "It arrived")
    page.click("#to-device")

    expect(page.get_by_role("heading", level=1)).to_have_text("pump-1")
    page.get_by_role("img", name=re.compile("temperature from 21.5 to 21.5")).wait_for()
    send_hour(site, key)
    page.get_by_role("img", name=re.compile(r"temperature from 1\d\S* to 2\d")).wait_for()
    page.get_by_role("button", name="1h", exact=True).click()
    expect(page).to_have_url(re.compile(r"range=1h"))
    zoom(page)
    expect(page).to_have_url(re.compile(r"start=.+end="))
    page.reload()
    expect(page.locator("#range-text")).to_contain_text("–")
    page.go_back()
    expect(page.get_by_role("button", name="1h", exact=True)).to_have_attribute("aria-pressed", "true")
    for tab in ("Readings", "Quarantine", "Keys", "Send", "Alerts"):
        page.locator(".tabs").get_by_role("link", name=tab).click()
        expect(page.locator(".tabs [aria-current]")).to_have_text(tab)
        if tab in ("Keys", "Send"):
            axe(page)
    shot(page, "device")
    page.close()


def send_hour(site: Site, key: str) -> None:
    """A reading each half a minute, with a gap in the middle."""
    now = datetime.now(UTC)
    times = [now - timedelta(seconds=30 * step) for step in range(120, 1, -1) if not 50 < step < 70]
    body = {"times": [time.isoformat() for time in times], "metrics": {}}
    body["metrics"] = {"temperature": [20 + step % 7 - 3 for step in range(len(times))], "running": [True] * len(times)}
    assert site.platform.post(body, key, "?wait=5").status == 200


def zoom(page: Page) -> None:
    """Drag over the middle of the first chart."""
    box = page.locator(".u-over").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=5)
    page.mouse.up()


def test_the_overview_follows_an_alert_and_says_when_its_picture_is_stale(site: Site) -> None:
    page = site.sign_in()
    shown(page, "of 1")
    threshold = {
        "name": "Hot",
        "scope": {"device": "pump-1"},
        "metric": "temperature",
        "condition": "above",
        "levels": [{"severity": "critical", "trigger": 90}],
    }
    page.evaluate(f"async (body) => (await import('{_API}')).post('/api/v1/thresholds', body)", threshold)
    key = site.platform.provision("pump-1")
    assert site.platform.post({"metrics": {"temperature": 95}}, key, "?wait=5").status == 200
    row = page.locator("#overview [data-row]")
    expect(row).to_contain_text("Hot", timeout=_LIVE_MS)
    expect(row).to_contain_text("above 90")
    expect(page).to_have_title(re.compile(r"^\(1\) "))
    shot(page, "overview")
    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(row).to_contain_text("acknowledged", timeout=_LIVE_MS)
    expect(row).to_contain_text("admin")

    site.platform.kill("web")
    shown(page, "Picture is stale since", 15_000)
    site.platform.restart("web")
    expect(page.locator("#stale")).to_be_hidden(timeout=35_000)
    page.close()


def test_explore_overlays_compares_shares_and_exports(site: Site) -> None:
    page = site.sign_in()
    page.goto(site.url("/explore/"))
    shown(page, "Nothing chosen yet")
    axe(page)
    page.fill("#add-device", "pump-1")
    expect(page.locator("#add-metric option")).to_have_count(2)
    page.select_option("#add-metric", "temperature")
    page.click("text=Add to the chart")
    page.click("[data-kind=g]")
    page.select_option("#add-group", "plant/hall-1")
    page.select_option("#add-metric", "running")
    page.click("text=Add to the chart")
    page.check("#compare")
    page.get_by_role("button", name="1h", exact=True).click()
    page.get_by_role("img", name=re.compile("pump-1 temperature from")).wait_for()
    expect(page.locator("#legend tbody tr").first).to_contain_text("pump-1 temperature")
    shot(page, "explore")

    page.click("#share")
    shown(page, "copied")
    address = page.evaluate("navigator.clipboard.readText()")
    other = site.sign_in()
    other.goto(address)
    expect(other.locator("#legend tbody tr").first).to_contain_text("pump-1 temperature")
    expect(other.locator("#compare")).to_be_checked()
    other.close()

    with page.expect_download() as caught:
        page.click("#csv")
    lines = caught.value.path().read_text().splitlines()
    assert lines[0].split(",")[:4] == ["device", "group", "metric", "time"]
    assert re.search(r"T\d\d:\d\d:\d\d\+0[12]:00", lines[1]), "times of Berlin, as the page shows them"
    with page.expect_download() as caught:
        page.click("#png")
    assert caught.value.path().read_bytes().startswith(b"\x89PNG")
    page.close()


def test_a_viewer_of_one_hall_finds_no_button_he_may_not_press_and_no_device_he_may_not_see(site: Site) -> None:
    site.platform.provision("elsewhere")
    page = site.sign_in("vera")
    page.goto(site.url("/devices/"))
    expect(page.locator("#devices")).to_contain_text("pump-1")
    expect(page.locator("#devices")).not_to_contain_text("elsewhere")
    expect(page.get_by_text("Register a device")).to_have_count(0)
    answers = {
        path: page.request.get(site.url(path)).status
        for path in ("/devices/elsewhere/", "/devices/new", "/devices/pump-1/")
    }
    assert answers == {"/devices/elsewhere/": 404, "/devices/new": 403, "/devices/pump-1/": 200}
    page.goto(site.url("/"))
    expect(page.locator("#overview")).to_be_visible()
    expect(page.locator("[data-acknowledge]")).to_have_count(0)
    page.goto(site.url("/devices/pump-1/?tab=keys"))
    expect(page.locator(".tabs")).not_to_contain_text("Keys")
    axe(page)
    page.close()


def test_signing_in_leads_back_to_where_one_wanted_to_go(site: Site) -> None:
    context = site.browser.new_context()
    page = context.new_page()
    page.goto(site.url("/devices/?state=online"))
    shown(page, "Sign in")
    axe(page)
    page.fill("#id_username", "admin")
    page.fill("#id_password", "wrong")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_be_visible()
    shot(page, "login")
    page.fill("#id_password", PASSWORD)
    page.click("button[type=submit]")
    expect(page).to_have_url(re.compile(r"/devices/\?state=online$"))
    page.click("text=admin")
    page.click("text=Sign out")
    expect(page).to_have_url(re.compile(r"/login/$"))
    context.close()
