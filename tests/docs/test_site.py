"""The site: every page has its place, it is built without a warning, and it asks nobody else for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from iotplatform.env import BASE_DIR

CONFIGURATION = (BASE_DIR / "mkdocs.yml").read_text()
#: Documents beside docs/ that the site has under these names.
BESIDE = {"contributing.md", "reporting.md"}


def test_every_page_stands_in_the_navigation() -> None:
    named = set(re.findall(r"^ +- ([\w/-]+\.md)$", CONFIGURATION.partition("\nnav:")[2], re.MULTILINE))
    there = {str(path.relative_to(BASE_DIR / "docs")) for path in (BASE_DIR / "docs").rglob("*.md")}
    assert named == there | BESIDE, "mkdocs.yml, nav"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)],
        cwd=BASE_DIR,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    said = built.stdout + built.stderr
    assert not built.returncode, said
    assert "WARNING" not in said, said
    return folder


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 40
    loaded = re.compile(
        r'<(?:script|img|iframe)[^>]+src="(https?://[^"]+)|<link[^>]+rel="(?:stylesheet|icon|preconnect)"[^>]*'
        r'href="(https?://[^"]+)|@import\s+["\'(]+(https?:[^"\')]+)|url\(["\']?(https?:[^)"\']+)'
    )
    assert not {page.name: found for page in pages if (found := loaded.findall(page.read_text()))}


@pytest.mark.slow
def test_the_api_is_described_by_the_platform_itself(site: Path) -> None:
    page = (site / "api.html").read_text()
    for said in ("POST /api/v1/readings", "GET /api/v1/alerts/{id}", "Idempotency-Key", "too_far_in_future"):
        assert said in page
    diagrams = (site / "architecture.html").read_text()
    assert diagrams.count('<div class="diagram" role="img"') == 2
