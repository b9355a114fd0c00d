"""What MkDocs is told beside its configuration: the pages that are made, and diagrams that follow dark and light."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from documentation import reference

__all__ = ["on_files", "on_page_content", "on_page_markdown"]

_PROJECT = Path(__file__).parents[1]
#: Documents that lie beside docs/ because a repository is expected to have them there, and what they are called here.
_BESIDE = {"CONTRIBUTING.md": "contributing.md", "SECURITY.md": "reporting.md"}
_DIAGRAM = re.compile(r'<p><img alt="([^"]*)" src="[^"]*diagrams/([\w-]+)\.svg" ?/?></p>')
_OUTSIDE = re.compile(r"\]\(\.\./((?:\.\./)?)([^)#]+)((?:#[^)]*)?)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the API reference and the documents beside docs/."""
    preface = (_PROJECT / "docs" / "api.md").read_text()
    made = {"api.md": reference.page(reference.described(), preface)}
    for name, here in _BESIDE.items():
        # Seen from docs/, what it links to in docs/ lies beside it.
        made[here] = (_PROJECT / name).read_text().replace("](docs/", "](")
    for name, text in made.items():
        if known := files.get_file_from_path(name):
            files.remove(known)
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to files beside docs/ lead to their page, or stay as the file's name where it has none."""

    def led(found: re.Match[str]) -> str:
        name = found[2]
        if name in _BESIDE:
            return f"]({found[1]}{_BESIDE[name]}{found[3]})"
        return found[0]

    return _OUTSIDE.sub(led, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """A diagram stands in the page itself: only so it knows whether the page is dark or light."""
    return _DIAGRAM.sub(_inline, html)


def _inline(found: re.Match[str]) -> str:
    drawn = (_PROJECT / "docs" / "diagrams" / f"{found[2]}.svg").read_text()
    start = drawn.index("<svg")
    return f'<div class="diagram" role="img" aria-label="{found[1]}">{drawn[start:]}</div>'
