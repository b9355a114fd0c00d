"""Operators at work in a browser: an alert appears, is acknowledged, undone and clears; a threshold is made with its preview;
many alerts at once; somebody who may only look."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.browser import PASSWORD, Site, axe, open_site, shot

_API = "/static/dashboard/js/api.js"
_PEOPLE = """
from django.contrib.auth.models import Group, User
for name, role in (("vera", "viewer"), ("olga", "operator")):
    User.objects.create_user(name, password="{password}").groups.add(Group.objects.get(name=role))
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site(ALERT_GROUP_SECONDS="3") as site:
        site.platform.manage("shell", "-c", _PEOPLE.format(password=PASSWORD))
        yield site


def ask(page: Page, method: str, path: str, body: Any = None) -> Any:
    """The REST API with the session of the page."""
    call = f"async ([method, path, body]) => (await import('{_API}')).api(method, path, body ?? undefined)"
    return page.evaluate(call, [method, f"/api/v1/{path}", body])


def send(site: Site, key: str, device: str, values: list[tuple[datetime, float]], metric: str = "temperature") -> None:
    readings = [{"device": device, "time": at.isoformat(), "metrics": {metric: value}} for at, value in values]
    answer = site.platform.post(readings, key, "?wait=5")
    assert answer.status == 200, answer.body


def now() -> datetime:
    return datetime.now(UTC)


def history(hours: float, peaks: int) -> list[tuple[datetime, float]]:
    """Readings of 60, every half minute until a while ago, with so many rises to 90 of five minutes each."""
    count = int(hours * 120)
    start = now() - timedelta(hours=hours, minutes=1)
    every = count // (peaks + 1)
    return [
        (start + timedelta(seconds=30 * place), 90.0 if place % every < 10 <= place else 60 + place % 7)
        for place in range(count)
    ]


@pytest.mark.alone
def test_from_a_first_threshold_to_an_alert_that_clears(site: Site) -> None:
    page = site.sign_in()
    page.goto(site.url("/alerts/"))
    expect(page.get_by_role("heading", name="All quiet")).to_be_visible()
    shot(page, "alerts-quiet", check=False)
    page.goto(site.url("/thresholds/"))
    expect(page.get_by_role("heading", name="No threshold yet")).to_be_visible()
    axe(page)

    ask(page, "POST", "device-types", {"name": "pump", "metrics": [{"name": "temperature", "unit": "°C"}]})
    ask(page, "POST", "devices", {"name": "pump-7", "type": "pump"})
    key = site.platform.provision("pump-7")
    send(site, key, "pump-7", history(20, 3))

    threshold_is_made(site, page)
    alert_comes_and_goes(site, page, key)
    somebody_else_changes_it(site, page)


def threshold_is_made(site: Site, page: Page) -> None:
    page.goto(site.url("/thresholds/new?device=pump-7&metric=temperature"))
    page.get_by_label("Name", exact=True).fill("Bearing hot")
    page.get_by_label("Opens at", exact=True).fill("80")
    page.get_by_label("Clears at", exact=True).fill("85")
    expect(page.locator("[data-level-error=clear]")).to_contain_text("give 80 or less")
    page.get_by_label("Clears at", exact=True).fill("75")
    sentence = page.locator("[data-sentence]")
    expect(sentence).to_have_text("On pump-7: opens a warning alert when temperature is above 80 °C; clears at 75 °C.")
    expect(page.locator("[data-level-error=clear]")).to_be_hidden()
    counts = page.locator("[data-preview-counts]")
    expect(counts).to_contain_text(re.compile("^3 alerts"))
    expect(page.locator("#preview-chart canvas")).to_be_visible()
    page.get_by_label("It must hold for", exact=True).fill("10")
    expect(counts).to_contain_text(re.compile("^0 alerts"))
    page.get_by_label("It must hold for", exact=True).fill("")
    expect(counts).to_contain_text(re.compile("^3 alerts"))
    page.evaluate("scrollTo(0, 0)")
    shot(page, "threshold-new")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url(re.compile(r"/thresholds/\d+/$"))
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    shot(page, "threshold", check=False)


def alert_comes_and_goes(site: Site, page: Page, key: str) -> None:
    page.goto(site.url("/alerts/"))
    began = time.monotonic()
    send(site, key, "pump-7", [(now(), 91.0)])
    row = page.locator("tr[data-id]")
    expect(row).to_contain_text("Bearing hot")
    assert time.monotonic() - began < 4, "drained, judged and shown"
    expect(row).to_contain_text("91 °C")
    expect(row.locator("svg.spark .spark-limit")).to_have_count(1)
    expect(page).to_have_title(re.compile(r"^\(1\) "))

    page.keyboard.press("j")
    page.keyboard.press("a")
    expect(row).to_contain_text("✓ admin")
    expect(row).to_have_class(re.compile("is-current"))
    expect(page).to_have_title(re.compile("^Alerts"))
    page.keyboard.press("u")
    expect(row).to_contain_text("nobody")
    page.keyboard.press("a")
    expect(row).to_contain_text("✓ admin")
    page.get_by_role("button", name="Undo").last.click()
    expect(row).to_contain_text("nobody")
    page.keyboard.press("c")
    page.locator("#note-text").fill("looking at the fan")
    page.get_by_role("dialog").get_by_role("button", name="Comment").click()
    expect(page.get_by_text("1 alert commented on.")).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_hidden()

    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/alerts/\d+/$"))
    expect(page.locator("#alert-log")).to_contain_text("looking at the fan")
    expect(page.locator("#alert-chart canvas")).to_be_visible()
    expect(page.locator("#alert-words")).to_contain_text("Why it opened")
    shot(page, "alert")
    somebody_else_is_first(site, page)
    send(site, key, "pump-7", [(now(), 60.0)])
    expect(page.locator("#alert-facts")).to_contain_text("Cleared")
    page.goto(site.url("/alerts/"))
    expect(page.get_by_role("heading", name="All quiet")).to_be_visible()


def somebody_else_is_first(site: Site, page: Page) -> None:
    """Two look at the same alert: of the slower one the page says who has it."""
    number = page.url.rstrip("/").rpartition("/")[2]
    page.evaluate("document.querySelector('#alert-top').setAttribute('data-live-hold', '')")
    other = site.sign_in("olga")
    ask(other, "POST", f"alerts/{number}/acknowledge", {})
    other.close()
    page.locator("[data-act=acknowledge]").click()
    expect(page.locator(".toast-note").last).to_contain_text("olga acknowledged it at")
    page.evaluate("document.querySelector('#alert-top').removeAttribute('data-live-hold')")


def somebody_else_changes_it(site: Site, page: Page) -> None:
    (stored,) = ask(page, "GET", "thresholds")["results"]
    page.goto(site.url(f"/thresholds/{stored['id']}/"))
    other = site.sign_in("olga")
    ask(other, "PATCH", f"thresholds/{stored['id']}", {"description": "by somebody else"})
    other.close()
    page.get_by_label("Name", exact=True).fill("Bearing too hot")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#overtaken")).to_contain_text("olga has changed this threshold")
    page.get_by_role("button", name="Save mine over it").click()
    expect(page.get_by_role("heading", name="Bearing too hot")).to_be_visible()
    page.goto(site.url("/thresholds/"))
    switch = page.get_by_role("switch")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    page.get_by_role("button", name="Undo").last.click()
    expect(switch).to_have_attribute("aria-checked", "true")


def test_many_alerts_at_once_and_somebody_who_may_only_look(site: Site) -> None:
    page = site.sign_in()
    key = site.platform.provision("any", "--all")
    for severity, trigger in (("warning", 5), ("critical", 9)):
        ask(
            page,
            "POST",
            "thresholds",
            {
                "name": f"Pressure {severity}",
                "scope": {"all": True},
                "metric": "pressure",
                "condition": "above",
                "levels": [{"severity": severity, "trigger": trigger}],
            },
        )
    for place in range(8):
        name = f"line-{place}"
        ask(page, "POST", "devices", {"name": name})
        values = [(now() - timedelta(minutes=30 - step), 4 + step % 3 / 4) for step in range(29)]
        send(site, key, name, [*values, (now(), 6.0 + place)], "pressure")
    page.goto(site.url("/alerts/"))
    rows = page.locator("tr[data-id]")
    expect(rows).to_have_count(8 + 4)
    expect(rows.first).to_contain_text("critical")
    for _ in range(2):
        page.keyboard.press("j")
        page.keyboard.press("x")
    expect(page.locator("[data-bulk-count]")).to_have_text("2")
    send(site, key, "line-0", [(now(), 6.5)], "pressure")
    expect(page.locator("tr[data-device=line-0]")).to_contain_text("6.5")
    expect(page.locator("tr.is-picked")).to_have_count(2)
    shot(page, "alerts")
    page.keyboard.press("a")
    expect(page.locator("tr[data-id]", has_text="✓ admin")).to_have_count(2)
    page.get_by_label("Select all shown").check()
    page.locator("#bulk").get_by_role("button", name="Assign to me").click()
    expect(page.locator("td.who .nowrap", has_text="admin").first).to_be_visible()
    page.goto(site.url("/alerts/?by=threshold"))
    shot(page, "alerts-by-threshold", check=False)
    page.get_by_role("button", name=re.compile("Acknowledge 8")).click()
    expect(page.get_by_text("8 alerts acknowledged.")).to_be_visible()
    page.goto(site.url("/alerts/?state=acknowledged&q=line-1"))
    expect(rows).to_have_count(1)
    silenced(site, page)
    page.goto(site.url("/thresholds/"))
    shot(page, "thresholds")
    looked_at(site)


def silenced(site: Site, page: Page) -> None:
    page.keyboard.press("j")
    page.keyboard.press("s")
    page.get_by_label("everything of line-1").check()
    page.get_by_label("Reason").fill("works on the line")
    page.get_by_role("dialog").get_by_role("button", name="Silence").click()
    expect(page.get_by_text("Silenced until")).to_be_visible()
    page.goto(site.url("/alerts/silences/"))
    expect(page.get_by_text("device line-1")).to_be_visible()
    page.get_by_role("button", name="New silence").click()
    page.get_by_label("Reason").fill("every Saturday")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.get_by_text("Say when it ends")).to_be_visible()
    page.get_by_role("button", name="Add hours").click()
    shot(page, "silences")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.get_by_text("every Saturday")).to_be_visible()
    page.get_by_role("button", name="End now").last.click()
    expect(page.get_by_role("button", name="End now")).to_have_count(1)


def looked_at(site: Site) -> None:
    """Somebody who may only look: no buttons, and what is asked for all the same is refused."""
    vera = site.sign_in("vera")
    vera.goto(site.url("/alerts/"))
    expect(vera.locator("tr[data-id]").first).to_be_visible()
    assert vera.locator("[data-act], [data-select], [data-bulk]").count() == 0
    vera.goto(site.url("/thresholds/"))
    assert vera.get_by_role("switch").count() == 0
    refused = vera.evaluate(
        f"""async () => {{ try {{ await (await import('{_API}')).post('/api/v1/alerts/bulk', {{action: 'acknowledge', ids: [1]}}) }}
        catch (error) {{ return error.status }} }}"""
    )
    assert refused == 403
    assert vera.goto(site.url("/thresholds/new")).status == 403
