"""The report page: complete, self-contained, safe."""

import json
import re
from itertools import pairwise

import pytest
from matplotlib.figure import Figure
from pages import Page, document, page, record

from limitpoint import Ledger, UsageError, all_claims
from limitpoint.cli import main
from limitpoint.ledger import Suite
from limitpoint.rivals.matrix import Duel, Fault, Matrix
from limitpoint.views.figures import FIGURES
from limitpoint.views.report._figures import read_figures
from limitpoint.views.report.page import mathematics


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A page with everything on it."""
    folder = tmp_path_factory.mktemp("figures")
    canvas = Figure(figsize=(2, 1))
    for name in ("usam-1.png", "multiclass-1.svg", "notes.txt"):
        if name.endswith("txt"):
            (folder / name).write_text("not a figure")
        else:
            canvas.savefig(folder / name)
    erratum = {
        "printed": "a < b", "corrected": "b < a", "where": "Theorem 1", "basis": "proof",
        "sure": "certain", "because": "Its proof says so.", "copy": "The line is legible.",
        "fault": "weak",
    }  # fmt: skip
    records = [
        record(),
        record("sam/two", "refuted", slack=-1.0, reason="too small"),
        record("sam/erratum-one", kind="erratum", erratum=erratum),
    ]
    text = page(
        *records,
        matrix=kills(),
        pictures=read_figures(folder),
        dashboard="../asv/index.html",
    )
    return text, Page(text)


def kills():
    """usam/one refutes one rival of two that it names."""
    duels = [
        Duel("usam/one", "gd", name, True, verdict, "because", slack, 1.0)
        for name, verdict, slack in (("cd", "refuted", -5.0), ("adam", "supported", 0.5))
    ]
    rivals = {name: Fault(f"{name} is wrong", ("gd",)) for name in ("cd", "adam", "ngd")}
    return Matrix({"usam/one": ("gd",)}, rivals, 42, [], 2, duels, Suite("0", "abc"))


def test_the_page_needs_nothing_else(whole):
    _, seen = whole
    assert not seen.all("script")
    links = [attrs["href"] for attrs in seen.all("a")]
    ids = [attrs["id"] for _, attrs in seen.seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert [link for link in links if not link.startswith("#")] == ["../asv/index.html"]
    assert all(attrs["src"].startswith("data:image/") for attrs in seen.all("img"))
    assert seen.all("math")


def test_headings_have_no_gaps(whole):
    levels = whole[1].headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(low + 1 >= high for low, high in pairwise(levels))


def test_a_screen_reader_has_names_for_everything(whole):
    _, seen = whole
    assert seen.all("html") == [{"lang": "en"}]
    assert all(attrs.get("scope") in ("row", "col") for attrs in seen.all("th"))
    assert all(attrs["alt"] for attrs in seen.all("img"))
    assert all("alttext" in attrs for attrs in seen.all("math"))
    for _, attrs in seen.seen:
        if attrs.get("role") == "region":
            assert attrs["aria-label"]
            assert attrs["tabindex"] == "0"
    (first, *_) = seen.all("a")
    assert first == {"class": "skip", "href": "#main"}
    assert seen.all("main")[0]["id"] == "main"


def test_what_failed_comes_first(whole):
    text, _ = whole
    assert text.index("too small") < text.index('id="usam"')


def test_each_subject_has_an_entry_and_a_row():
    judged = [("m:Right", "supported"), ("m:Wrong", "refuted")]
    text = page(*(record(verdict=verdict, subject=subject) for subject, verdict in judged))
    seen = Page(text)
    assert [a["id"] for a in seen.all("article")] == ["usam/one", "usam/one@2"]
    table = text[text.index("Verdicts by subject") :]
    found = re.findall(r"<code>(m:\w+)</code></th>\s*((?:<td[^>]*>\d</td>\s*)+)", table)
    assert [(name, re.findall(r">(\d)<", counts)) for name, counts in found] == [
        ("m:Right", ["1", "0"]), ("m:Wrong", ["0", "1"]),
    ]  # fmt: skip


def test_a_strip_has_a_dot_for_each_comparison():
    (outside,) = Page(page(record(verdict="refuted", slack=-7.0))).all("circle")
    assert outside == {"cx": "-100.0", "r": "3", "class": "outside"}


def test_an_erratum_has_both_statements_and_how_sure_it_is(whole):
    text, _ = whole
    section = text[text.index('<h2 id="errata">') :]
    for part in (
        "a &lt; b",
        "b &lt; a",
        "Theorem 1",
        "certain",
        "Its proof says so.",
        "The line is legible.",
    ):
        assert part in section


def test_the_kill_matrix_says_who_survived(whole):
    text, _ = whole
    section = text[text.index('<h2 id="kills">') :]
    assert "adam survives usam/one, which names it" in section
    assert re.findall(r'class="cell (\w+)"><span class="hidden">([\w ]+)<', section) == [
        ("k3", "refuted"), ("alive", "SURVIVED"), ("none", "not run"),
    ]  # fmt: skip
    assert "cd is wrong" in section


def test_figures_stand_with_their_paper(whole):
    text, _ = whole
    title = FIGURES["usam-1"].title
    assert text.index('id="usam"') < text.index(title) < text.index('id="sam"')
    assert "not a figure" not in text


def test_every_statement_is_typeset():
    for claim in all_claims().values():
        shown = re.sub(r'alttext="[^"]*"', "", str(mathematics(claim.statement)))
        assert "\\" not in shown, claim.id
        assert "$" not in shown, claim.id


def test_the_command_takes_what_lies_beside_the_ledger(tmp_path, capsys):
    latest, asv = tmp_path / "latest", tmp_path / "asv"
    asv.mkdir()
    (asv / "index.html").write_text("dashboard")
    document(record()).write(latest / "ledger.json")
    assert main(["report", str(latest / "ledger.json")]) == 0
    bare = (latest / "index.html").read_text()
    assert 'id="kills"' not in bare
    assert 'href="../asv/index.html"' in bare
    kills().write(latest / "mutants.json")
    (latest / "figures").mkdir()
    Figure(figsize=(2, 1)).savefig(latest / "figures" / "usam-1.png")
    assert main(["report", str(latest / "ledger.json"), "--out", str(tmp_path / "p.html")]) == 0
    full = (tmp_path / "p.html").read_text()
    assert 'id="kills"' in full
    assert "data:image/png" in full
    assert 'href="asv/index.html"' in full


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mutants", "none.json"], "cannot be read"),
        (["--figures", "none"], "no such folder"),
        (["--asv", "none"], "no index.html"),
    ],
)
def test_what_is_given_and_not_there_is_one_line(tmp_path, capsys, words, message):
    document(record()).write(tmp_path / "ledger.json")
    with pytest.raises(SystemExit) as stop:
        main(["report", str(tmp_path / "ledger.json"), *words])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_a_claim_is_shown_by_its_worst_seed():
    text = page(record(seed=0), record(seed=7, verdict="refuted", slack=-0.25, reason="fell short"))
    assert "fell short" in text
    assert "--seeds 7" in text
    assert "--seeds 0" not in text


def test_among_supported_seeds_the_closest_to_failing_is_shown():
    text = page(record(seed=0, slack=0.5), record(seed=7, slack=0.1))
    assert "--seeds 7" in text


def test_numbers_that_json_lacks_are_dashes():
    text = page(record(evidence=[{"quantity": "q", "measured": None, "slack": None}]))
    assert "–" in text


def test_mathematics_escapes_what_is_not_mathematics():
    assert "&lt;b&gt;" in mathematics("<b> $x^2$")
    assert "<math" in mathematics("<b> $x^2$")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON document"),
        ("[]", "not a limitpoint ledger"),
        (json.dumps({"schema": 2}), "schema 1"),
        (
            json.dumps({"schema": 1, "suite": {}, "environment": {}, "claims": [{}]}),
            "missing required field `id` - at",
        ),
        (json.dumps({"schema": 1, "claims": []}), "missing required field `suite`"),
        (
            json.dumps({"schema": 1, "suite": {}, "environment": {}, "claims": 3}),
            r"Expected `array`, got `int` - at `\$.claims`",
        ),
        (
            json.dumps({"schema": 1, "suite": {}, "environment": {"sources": 3}, "claims": []}),
            r"Expected `object`, got `int` - at `\$.environment.sources`",
        ),
    ],
)
def test_a_malformed_ledger_is_one_line(tmp_path, text, message):
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        Ledger.read(path)


def test_a_ledger_survives_the_way_to_disk_and_back(tmp_path):
    ledger = document(record(), python="3")
    ledger.write(tmp_path / "deep" / "ledger.json")
    assert Ledger.read(tmp_path / "deep" / "ledger.json") == ledger
