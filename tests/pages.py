"""Ledgers for the report page, and a reader of the page."""

import re
from html.parser import HTMLParser

import msgspec

from limitpoint import Ledger, Record
from limitpoint.ledger import Environment, Suite
from limitpoint.views.report import render


def record(claim_id="usam/one", verdict="supported", seed=0, slack=0.5, **more):
    evidence = {
        "quantity": "margin", "relation": "at_least", "measured": 0.97, "expected": 0.95,
        "tolerance": 0.0, "slack": slack, "because": "the finite-time bound", "entries": 1,
    }  # fmt: skip
    found = {
        "id": claim_id, "source": "paper, Theorem 1", "statement": "It tends to $w_0 + X^+ y$.",
        "kind": "limit", "roles": ["gd"], "subject": None, "seed": seed, "engine": "auto",
        "device": "cpu", "horizon": "quick", "verdict": verdict, "reason": "",
        "evidence": [evidence], "seconds": 1.5,
        "reproduce": f"pytest claims/ -k one --seeds {seed}",
    } | more  # fmt: skip
    return msgspec.convert(found, Record)


def document(*records, **environment):
    return Ledger(Suite("0", "abc"), Environment(**environment), list(records))


def page(*records, **more):
    return render(document(*records, python="3"), **more)


class Page(HTMLParser):
    """Collects tags with their attributes; complains about a closing tag without an opening one."""

    VOID = ("meta", "link", "br", "img", "input")

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, *tags):
        return [attrs for tag, attrs in self.seen if tag in tags]

    @property
    def headings(self):
        return [int(tag[1]) for tag, _ in self.seen if re.fullmatch("h[1-6]", tag)]
