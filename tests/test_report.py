"""The report page: complete, self-contained, safe."""

import json
from html.parser import HTMLParser

import pytest

from limitpoint import Ledger, UsageError
from limitpoint.ledger import FIELDS
from limitpoint.report import render
from limitpoint.report.page import mathematics


def record(claim_id="usam/one", verdict="supported", seed=0, slack=0.5, **more):
    found = dict.fromkeys(FIELDS)
    evidence = {
        "quantity": "margin", "relation": "at_least", "measured": 0.97, "expected": 0.95,
        "tolerance": 0.0, "slack": slack, "because": "the finite-time bound", "entries": 1,
    }  # fmt: skip
    return found | {
        "id": claim_id, "source": "paper, Theorem 1", "statement": "It tends to $w_0 + X^+ y$.",
        "kind": "limit", "roles": ["gd"], "seed": seed, "engine": "auto", "device": "cpu",
        "horizon": "quick", "verdict": verdict, "reason": "", "evidence": [evidence],
        "seconds": 1.5, "reproduce": f"pytest claims/ -k one --seeds {seed}",
    } | more  # fmt: skip


def page(*records):
    ledger = Ledger({"version": "0", "commit": "abc"}, {"python": "3"}, list(records))
    return render(ledger)


class Balanced(HTMLParser):
    """Collects tags; complains about a closing tag without its opening one."""

    VOID = ("meta", "link", "br", "img", "input")

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else():
    parser = Balanced()
    parser.feed(page(record(), record("sam/two", "refuted", slack=-1.0, reason="too small")))
    assert not parser.open
    assert "script" not in parser.seen
    assert all(link.startswith("#") for link in parser.links)
    assert "math" in parser.seen


def test_a_claim_is_shown_by_its_worst_seed():
    text = page(record(seed=0), record(seed=7, verdict="refuted", slack=-0.25, reason="fell short"))
    assert "fell short" in text
    assert "--seeds 7" in text
    assert "--seeds 0" not in text


def test_among_supported_seeds_the_closest_to_failing_is_shown():
    text = page(record(seed=0, slack=0.5), record(seed=7, slack=0.1))
    assert "--seeds 7" in text


def test_text_is_escaped():
    text = page(record(reason="<script>alert(1)</script>", verdict="refuted"))
    assert "<script>" not in text


def test_numbers_that_json_lacks_are_dashes():
    text = page(record(evidence=[record()["evidence"][0] | {"measured": None, "slack": None}]))
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
        (json.dumps({"schema": 1, "suite": {}, "environment": {}, "claims": [{}]}), "lacks 'id'"),
        (json.dumps({"schema": 1, "claims": []}), "lacks 'suite'"),
        (json.dumps({"schema": 1, "suite": {}, "environment": {}, "claims": 3}), "claims"),
    ],
)
def test_a_malformed_ledger_is_one_line(tmp_path, text, message):
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        Ledger.read(path)


def test_a_ledger_survives_the_way_to_disk_and_back(tmp_path):
    ledger = Ledger({"version": "0", "commit": None}, {"python": "3"}, [record()])
    ledger.write(tmp_path / "deep" / "ledger.json")
    assert Ledger.read(tmp_path / "deep" / "ledger.json") == ledger
