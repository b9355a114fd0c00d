"""Exports in a browser: from what Explore shows to a file that is there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.browser import Site, open_site, shot


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as running:
        yield running


@pytest.mark.slow
def test_what_explore_shows_becomes_a_file_every_day(site: Site) -> None:
    key = site.platform.provision("pump-1")
    times = [datetime.now(UTC) - timedelta(days=1, minutes=step) for step in range(120)]
    body = {
        "times": [time.isoformat() for time in times],
        "metrics": {"temperature": [20.5 + step % 5 for step in range(120)]},
    }
    assert site.platform.post(body, key, "?wait=5").status == 200
    page = site.sign_in()
    page.goto(site.url("/exports/"))
    expect(page.get_by_role("heading", name="No export yet")).to_be_visible()
    shot(page, "exports-empty")

    page.goto(site.url("/explore/?s=d/pump-1/temperature&f=avg&b=1h&range=7d"))
    page.get_by_role("link", name="Export…").click()
    expect(page.get_by_label("Query")).to_have_value(
        "device=pump-1&metric=temperature&functions=avg,min,max&bucket=1h&tz=Europe/Berlin"
    )
    expect(page.get_by_label("How many days")).to_be_hidden()
    page.get_by_label("About").select_option("last_days")
    page.get_by_label("How many days").fill("400")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#e-days")).to_contain_text("less than or equal to 366")
    expect(page.locator("#e-name")).to_be_visible()
    shot(page, "export-form")
    page.get_by_label("Name").fill("Temperature by hour")
    page.get_by_label("How many days").fill("3")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_label("Send a link to").fill("bob@example.org")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Every day at 06:00 (Europe/Berlin): the last 3 days, as CSV")).to_be_visible()

    page.get_by_role("button", name="Run now").click()
    link = page.get_by_role("link", name="File")
    expect(link).to_be_visible(timeout=15_000)
    shot(page, "export")
    with page.expect_download() as download:
        link.click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "device,metric,time,avg,min,max,count"
    assert {line.split(",")[0] for line in lines[1:]} == {"pump-1"}
    assert sum(int(line.split(",")[-1]) for line in lines[1:]) == 120
    assert {line.split(",")[2][-6:] for line in lines[1:]} == {"+01:00"}
    page.keyboard.press("g")
    page.keyboard.press("x")
    expect(page.get_by_role("link", name="Temperature by hour", exact=True)).to_be_visible()
    shot(page, "exports")
    page.close()
