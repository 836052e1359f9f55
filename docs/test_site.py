"""The built site: its links, and a walk through it in a browser, where there is one."""

import shutil
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "reports" / "site"
NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE, DESK = (390, 844), (1280, 900)
PAGES = (
    "index.html", "start.html", "judge.html", "maps.html", "cluster.html", "speed.html",
    "how/index.html", "how/scaled.html",
    "how/verdicts.html", "claims/index.html", "claims/errata.html", "claims/rivals.html",
    "claims/multiclass/adam-max-norm.html", "claims/sam/index.html", "api/theory.html",
    "contribute.html", "changelog.html",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not (SITE / "index.html").exists(), reason="reports/site is not built: ./ci/docs"
)


class _Links(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.loaded, self.anchors = [], [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        targets = [found[name] for name in ("href", "src") if found.get(name)]
        self.targets += targets
        self.loaded += targets if tag != "a" else []


@cache
def links(path):
    return _Links(path.read_text(encoding="utf-8"))


def broken(page):
    """The links of a page that lead nowhere within the site."""
    for target in links(page).targets:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        there = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not there.is_file() or (
            there.suffix == ".html" and unquote(parts.fragment) not in links(there).anchors
        ):
            yield target


def pages():
    """The site's pages, without what the theme keeps beside its scripts."""
    return [page for page in sorted(SITE.rglob("*.html")) if "_static" not in page.parts]


def test_every_link_leads_somewhere():
    assert len(pages()) > 100
    lost = {str(page.relative_to(SITE)): found for page in pages() if (found := [*broken(page)])}
    assert lost == {}


def test_nothing_is_loaded_from_elsewhere():
    found = {target for page in pages() for target in links(page).loaded}
    assert {target for target in found if urlsplit(target).netloc} == set()


def test_two_clicks_lead_from_the_first_page_to_every_claim():
    def reached(page):
        paths = (urlsplit(found).path for found in links(page).targets)
        return {(page.parent / path).resolve() for path in paths if path.endswith(".html")}

    first = SITE / "index.html"
    one = reached(first)
    two = one.union(*(reached(page) for page in one if page.is_file()))
    claims = {page.resolve() for page in (SITE / "claims").rglob("*.html")}
    assert claims - two == set()


# ------------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium; skips where there is none."""
    chromium = next((found for name in NAMES if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip(f"chromedriver and one of {', '.join(NAMES)} are not on PATH")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for flag in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "no-first-run",
        "disable-background-networking", "disable-component-update", "disable-sync",
        "allow-file-access-from-files", f"user-data-dir={profile}",
    ):  # fmt: skip
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield found
    found.quit()


def visit(browser, page, size=DESK):
    """Open a page at a width; the emulation also goes below what a window may be."""
    width, height = size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    path, _, query = page.partition("?")
    browser.get((SITE / path).as_uri() + f"?{query}")
    return browser


WIDE = """
const scrolls = (node) => node && node !== document.body
  && (/auto|scroll|hidden/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
return [...document.querySelectorAll(".bd-article *")]
  .filter((n) => n.getBoundingClientRect().right > innerWidth + 1 && !scrolls(n))
  .map((n) => n.tagName + "." + n.className + " " + n.textContent.slice(0, 40));
"""
PALE = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const paint = (colour) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
  .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const back = paint(getComputedStyle(node).backgroundColor);
    if (back[3] > 250) return back;
  }
  return [255, 255, 255];
};
const contrast = (node) => {
  const [a, b] = [light(paint(getComputedStyle(node).color)), light(behind(node))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
};
return [...document.querySelectorAll(".bd-article *")]
  .filter((n) => n.offsetParent && !n.closest(".headerlink, .copybtn")
    && [...n.childNodes].some((t) => t.nodeType === 3 && t.data.trim()) && contrast(n) < 4.4)
  .map((n) => n.tagName + "." + n.className + " " + n.textContent.slice(0, 40)
    + " " + contrast(n).toFixed(2));
"""


@pytest.mark.parametrize("page", PAGES)
def test_a_phone_needs_no_sideways_scrolling(browser, page):
    visit(browser, page, PHONE)
    assert browser.execute_script(WIDE) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= PHONE[0]


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_text_is_legible(browser, page, mode):
    visit(browser, page)
    browser.execute_script("document.documentElement.dataset.theme = arguments[0]", mode)
    assert browser.execute_script(PALE) == []


VISIBLE = """
return [...document.querySelectorAll("a[href]")]
  .filter((a) => a.protocol === "file:" && a.pathname.endsWith(".html")
    && a.getClientRects().length && getComputedStyle(a).visibility === "visible")
  .map((a) => a.pathname);
"""


def clicked(browser, page):
    """The site's pages that the visible links of a page lead to, at the width of a desk."""
    visit(browser, page)
    found = {Path(unquote(path)) for path in browser.execute_script(VISIBLE)}
    return {str(path.relative_to(SITE)) for path in found if path.is_relative_to(SITE)}


def test_what_two_clicks_reach(browser):
    """Writes the table of it, reports/two-clicks.md."""
    one = clicked(browser, "index.html") - {"index.html"}
    two = set().union(*(clicked(browser, page) for page in sorted(one))) - one - {"index.html"}
    own = {str(page.relative_to(SITE)) for page in pages()}
    own -= {"index.html", "search.html", "genindex.html", "py-modindex.html"}
    parts = sorted({section(page) for page in own})
    lines = ["| section | pages | one click | two clicks | farther |", "|---|--:|--:|--:|--:|"]
    for part in [*parts, ""]:
        of = {page for page in own if section(page) == part or not part}
        counts = len(of), len(of & one), len(of & two), len(of - one - two)
        lines.append(f"| {part or 'all'} | {' | '.join(map(str, counts))} |")
    (SITE.parent / "two-clicks.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert own - one - two == set()


def section(page):
    """The folder of a page, a paper's for a claim's."""
    return "/".join(Path(page).parts[:-1]) or "guides"


def test_the_console_stays_empty(browser):
    visit(browser, PAGES[0])
    browser.get_log("browser")  # the theme says at a first visit that it remembers no mode
    for page in PAGES:
        visit(browser, page)
    # asv's own page asks for the summary of a benchmark that has no results yet, too.
    found = [e for e in browser.get_log("browser") if "_static/asv/" not in e["message"]]
    assert [entry for entry in found if entry["level"] != "INFO"] == []


@pytest.mark.parametrize(("page", "pictures"), [("maps.html", 5), ("how/scaled.html", 1)])
def test_figures_are_drawn(browser, page, pictures):
    visit(browser, page)
    widths = "return [...document.querySelectorAll('.cell_output img')].map((i) => i.naturalWidth)"
    assert len([width for width in browser.execute_script(widths) if width > 400]) == pictures


def test_a_claims_page_draws_its_run(browser):
    page = SITE / "claims/homogeneous/smoothed-margin.html"
    if 'class="curve"' not in page.read_text(encoding="utf-8"):
        pytest.skip("built from a baseline, which keeps no curves: ./ci/claims makes a ledger")
    visit(browser, str(page.relative_to(SITE)), PHONE)
    box = "return document.querySelector('svg.curve .measured').getBBox()"
    assert browser.execute_script(box)["width"] > 200


def test_search_finds_a_claim(browser):
    visit(browser, "search.html?q=gd-min-distance")
    browser.implicitly_wait(60)  # each page that was found is read for its summary
    assert browser.find_elements("css selector", "#search-results a[href*='gd-min-distance']")
    browser.implicitly_wait(0)


def test_the_theme_switch_turns_the_page_dark_and_light(browser):
    visit(browser, "index.html")
    for mode, dark in (("dark", True), ("light", False)):
        browser.find_element("css selector", ".theme-switch-button").click()
        browser.find_element("css selector", f".dropdown-menu.show [data-mode='{mode}']").click()
        back = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert ("255, 255, 255" not in back) == dark


def test_the_keyboard_goes_to_the_content(browser):
    visit(browser, "claims/usam/gd-min-distance.html")
    browser.find_element("css selector", "body").send_keys("\ue004")  # tab
    focused = "return document.activeElement.textContent"
    assert browser.execute_script(focused) == "Skip to main content"
