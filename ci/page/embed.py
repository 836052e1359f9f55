"""Make a page that asv published open from its file: no network, no server.

    python ci/page/embed.py FOLDER

asv's page takes its scripts from the net and its data over HTTP, which a browser allows no file.
Here the scripts come from vendor/, and the data from one script, data.js.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

VENDOR = Path(__file__).parent / "vendor"
#: A script or a style sheet from the net: what comes before its address, the address, the rest.
REMOTE = re.compile(r'(<(?:script|link)[^>]*?(?:src|href)=")(https?://[^"]+)("[^>]*>)')
#: Answers jQuery's requests for JSON from the data at hand.
TRANSPORT = """\
$.ajaxTransport("json", function (options) {
  var path = decodeURIComponent(options.url.split("?")[0]);
  if (!(path in asvFiles)) return;
  return {
    // Later, as over HTTP: the page is not set up when it asks.
    send: function (headers, done) {
      setTimeout(function () { done(200, "success", {json: asvFiles[path]}); });
    },
    abort: function () {}
  };
});
"""


def vendored(address: str) -> str:
    """Name of the copy of a remote file.

    Raises:
        LookupError: there is none in vendor/.
    """
    name = address.rsplit("/", 1)[1]
    for candidate in (name, name.replace(".min.", ".")):
        if (VENDOR / candidate).exists():
            return candidate
    raise LookupError(f"{address}: no copy in {VENDOR}")


def localised(page: str) -> str:
    """The page with its remote scripts and style sheets from vendor/, and data.js after jQuery."""

    def local(match: re.Match[str]) -> str:
        before, address, after = match.groups()
        # A checksum is refused to a file, and is another one for a copy that is not minified.
        after = re.sub(r' (integrity|crossorigin|referrerpolicy)="[^"]*"', "", after)
        return f"{before}vendor/{vendored(address)}{after}"

    page = REMOTE.sub(local, page)
    data = '<script src="data.js"></script>'
    return re.sub(r"(<script[^>]*vendor/jquery-[^>]*></script>)", rf"\1\n    {data}", page, count=1)


def data_script(folder: Path) -> str:
    """Every JSON file of the folder as one script, with what serves them to the page."""
    files = {
        path.relative_to(folder).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.json"))
    }
    text = json.dumps(files, separators=(",", ":"))
    return f"var asvFiles = {text};\n{TRANSPORT}"


def embed(folder: Path) -> None:
    """Change a published folder in place."""
    page = folder / "index.html"
    page.write_text(localised(page.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copytree(VENDOR, folder / "vendor", dirs_exist_ok=True)
    (folder / "data.js").write_text(data_script(folder), encoding="utf-8")


if __name__ == "__main__":
    embed(Path(sys.argv[1]))
