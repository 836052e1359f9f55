"""The report page in a real browser: a phone's width, no script, no network, legible, operable."""

import html
import json
import re
import shutil
import subprocess

import msgspec
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from limitpoint import Ledger, Record, Setting, all_claims
from limitpoint.ledger import Environment, Suite
from limitpoint.rivals.duels import named_matches
from limitpoint.rivals.matrix import Duel, Matrix
from limitpoint.views.report import render
from limitpoint.views.report._figures import read_figures

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((found for name in NAMES if (found := shutil.which(name))), None)
PHONE, DESK = 390, 1280
DARK = "preferredColorScheme=0"
CLAIMS = list(all_claims().values())

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} is on PATH")


def record(claim, verdict="supported"):
    """What a run would leave of a claim, with numbers as long as they get."""
    slack = -0.123456 if verdict == "refuted" else 0.123456
    evidence = {
        "quantity": "margin over optimum in the norm of the claim", "relation": "at_least",
        "measured": -1.23457e-123, "expected": 0.951234, "tolerance": 1.23456e-12, "slack": slack,
        "because": "rounding of some thousand sums, each exact to 2^-53", "entries": 1,
        "under": "",
    }  # fmt: skip
    return msgspec.convert(
        {
            "id": claim.id, "source": claim.source, "statement": claim.statement,
            "kind": claim.kind, "erratum": vars(claim.erratum) if claim.erratum else None,
            "roles": claim.roles, "subject": None, "seed": 42, "engine": "auto",
            "device": "cpu", "horizon": "quick", "verdict": verdict, "seconds": 1.0,
            "reason": "margin: measured 1, expected at least 2" if verdict == "refuted" else "",
            "evidence": [evidence | {"under": side} for side in ("printed", "corrected", "")],
            "reproduce": f"pytest claims/ -k {claim.id} --seeds 42 --engine torch --device cpu",
        },
        Record,
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with every claim, one of them refuted, the kill matrix and a figure."""
    folder = tmp_path_factory.mktemp("report")
    verdicts = ["refuted", "inconclusive", "not-applicable"] + ["supported"] * len(CLAIMS)
    records = [record(*pair) for pair in zip(CLAIMS, verdicts, strict=False)]
    matches = named_matches(CLAIMS)
    matrix = Matrix.of(CLAIMS, Setting(), len(matches))
    for n, (claim, role, rival) in enumerate(matches):
        verdict, slack = "refuted" if n else "supported", -(10.0 ** (n % 5 - 2))
        matrix.duels.append(Duel(claim.id, role, rival, True, verdict, "", slack, 1.0))
    figure = Figure(figsize=(14, 4))
    figure.add_subplot().plot([0, 1])
    figure.savefig(folder / "usam-1.png")
    ledger = Ledger(Suite("0", "abc"), Environment(python="3"), records)
    path = folder / "index.html"
    path.write_text(render(ledger, matrix=matrix, pictures=read_figures(folder)), encoding="utf-8")
    return path


def browse(path, *options):
    """Standard output and error of a headless browser on a file."""
    profile = path.parent / "profile"
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--no-first-run", "--enable-logging=stderr", f"--user-data-dir={profile}", *options,
        path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    shutil.rmtree(profile, ignore_errors=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


# The page itself has no script: this one looks at it from outside, in a frame as wide as a phone.
# Without "allow-scripts", scripts are disabled in the frame.
LOOK = """<!doctype html>
<iframe sandbox="allow-same-origin" style="border: 0; width: %dpx; height: 800px"
  srcdoc="%s"></iframe>
<script>
document.querySelector("iframe").onload = (event) => {
  const view = event.target.contentWindow, page = view.document;
  const all = [...page.body.querySelectorAll("*")];
  page.querySelectorAll("details").forEach((part) => { part.open = true; });
  const style = (node) => view.getComputedStyle(node);
  const paint = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => rgb.slice(0, 3)
    .map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const back = paint(style(node).backgroundColor);
      if (back.length === 3 || back[3] > 0) return back;
    }
    return [255, 255, 255];
  };
  const contrast = (node) => {
    const [a, b] = [light(paint(style(node).color)), light(behind(node))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const scrolls = (node) => node
    && (/auto|scroll/.test(style(node).overflowX) || scrolls(node.parentElement));
  const says = (node) => !node.closest(".hidden")
    && [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  const name = (node) => node.tagName + "." + node.className + " " + node.textContent.slice(0, 40);
  const chosen = (page, choose) => {
    choose((selector) => page.querySelector(selector));
    return [...page.querySelectorAll(".claim")].filter((n) => n.offsetHeight).map((n) => n.id);
  };
  page.querySelector(".skip").focus();
  document.body.dataset.found = JSON.stringify({
    claims: all.filter((n) => n.tagName === "ARTICLE" && n.id && n.offsetHeight > 50)
      .map((n) => n.id),
    width: page.documentElement.scrollWidth,
    wide: all.filter((n) => n.getBoundingClientRect().right > %d + 0.5 && !scrolls(n)).map(name),
    pale: all.filter((n) => says(n) && contrast(n) < 4.5).map(name),
    small: all.filter((n) => says(n) && !n.closest("math") && parseFloat(style(n).fontSize) < 12)
      .map(name),
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    loaded: view.performance.getEntriesByType("resource").map((entry) => entry.name),
    pictures: [...page.images].map((image) => image.naturalWidth),
    formulas: page.querySelectorAll("math").length,
    refuted: chosen(page, (find) => { find("#only-refuted").checked = true; }),
    about: chosen(page, (find) => {
      find("#only-all").checked = true;
      find("#role").value = [...find("#role").options].find((o) => o.text === "lion").value;
    }),
    skip: page.querySelector(".skip").getBoundingClientRect().left,
    outline: style(page.activeElement).outlineStyle,
  });
};
</script>"""


def look(page, width, *options):
    """What the browser measures on the page in a frame of some width."""
    outside = page.with_name(f"look-{width}.html")
    text = html.escape(page.read_text(encoding="utf-8"))
    outside.write_text(LOOK % (width, text, width), encoding="utf-8")
    dom, _ = browse(outside, "--dump-dom", *options)
    return json.loads(html.unescape(re.search(r'data-found="([^"]*)"', dom)[1]))


@pytest.fixture(scope="module")
def phone(page):
    """The page on a phone."""
    return look(page, PHONE)


def test_every_claim_is_there_without_scripts(page, phone):
    assert phone["claims"] == [claim.id for claim in CLAIMS]
    assert "<script" not in page.read_text(encoding="utf-8")


def test_a_verdict_and_a_role_are_chosen_without_scripts(phone):
    assert phone["refuted"] == [CLAIMS[0].id]
    assert phone["about"] == [claim.id for claim in CLAIMS if "lion" in claim.roles]


def test_the_console_stays_empty(page):
    _, console = browse(page, "--dump-dom")
    assert console == []


def test_a_request_would_be_stopped_and_seen_in_the_console(page):
    greedy = page.with_name("greedy.html")
    picture = '<img src="http://127.0.0.1:9/picture.png" alt=""></body>'
    greedy.write_text(page.read_text(encoding="utf-8").replace("</body>", picture))
    _, console = browse(greedy, "--dump-dom")
    assert any("Content Security Policy" in line for line in console)


def test_nothing_is_loaded(phone):
    assert phone["loaded"] == []


def test_a_phone_needs_no_sideways_scrolling(phone):
    assert phone["wide"] == []
    assert phone["width"] <= PHONE


def test_figures_and_formulas_are_drawn(phone):
    assert phone["pictures"] == [1400]
    assert phone["formulas"] > len(CLAIMS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible(page, phone, scheme):
    found = phone if scheme == "light" else look(page, DESK, f"--blink-settings={DARK}")
    assert found["dark"] == (scheme == "dark")
    assert found["pale"] == []
    assert found["small"] == []


def test_the_keyboard_reaches_the_skip_link_and_sees_it(phone):
    assert phone["skip"] >= 0
    assert phone["outline"] == "solid"


def test_a_screenshot_is_not_blank(page, tmp_path):
    shot = tmp_path / "shot.png"
    browse(page, f"--screenshot={shot}", f"--window-size={DESK},900")
    pixels = imread(shot)[..., :3]
    assert pixels.shape[1] == DESK
    assert 0.5 < (pixels.min(-1) > 0.95).mean() < 0.995
