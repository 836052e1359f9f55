"""Nothing of a ledger reaches the report page as markup."""

import msgspec
import pytest
from pages import Page, record

from limitpoint import Ledger
from limitpoint.ledger import Environment, Suite
from limitpoint.views.report import render

SCRIPT = '</title><script>alert(1)</script>" onload="alert(2)'
NASTY = (
    SCRIPT, f"$\\text{{{SCRIPT}}}$", "$\\href{javascript:alert(1)}{x}$", "$\\style{x:y}{x}$",
    f"$\\unicode{{{SCRIPT}}}$", "$\\mathcolor{red}{</math><script>}$", "$\\frac{<img src=x>$",
)  # fmt: skip


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize(
    "field",
    ["source", "statement", "kind", "subject", "reason", "reproduce", "roles", "ran", "place",
     "quantity", "because", "printed", "corrected", "where", "erratum-because", "copy",
     "python", "sources",
     "version", "dashboard"],
)  # fmt: skip
def test_no_field_of_a_ledger_is_markup(field, text):
    erratum = {
        "printed": "a", "corrected": "b", "where": "(1)", "basis": "proof", "sure": "certain",
        "because": "It is.", "copy": "It can.",
    }  # fmt: skip
    evidence = {"quantity": "q", "slack": 0.5, "because": "b", "under": "printed"}
    more, environment, version, link = {}, {}, "0", None
    if field in ("quantity", "because"):
        evidence[field] = text
    elif field == "place":
        evidence["at"] = {text: 3}
    elif field in ("printed", "corrected", "where", "erratum-because", "copy"):
        erratum[field.removeprefix("erratum-")] = text
    elif field in ("python", "sources"):
        environment[field] = {text: text} if field == "sources" else text
    elif field == "version":
        version = text
    elif field == "dashboard":
        link = text
    else:
        more[field] = {"roles": [text], "ran": {text: text}}.get(field, text)
    found = record(verdict="refuted", evidence=[evidence], **more)
    other = record("usam/erratum-two", kind="erratum", erratum=erratum, evidence=[evidence])
    ledger = Ledger(Suite(version, None), Environment(**environment), [found, other])
    shown = render(ledger, dashboard=link)
    seen = Page(shown)
    assert not seen.all("script", "img")
    for _, attributes in seen.seen:
        assert not {name for name in attributes if name.startswith("on")}
        assert not attributes.get("href", "").startswith("javascript:")
        assert "style" not in attributes


@pytest.mark.parametrize("field", ["id", "verdict", "seed", "seconds"])
def test_an_id_or_a_verdict_that_is_none_is_refused(field):
    with pytest.raises(msgspec.ValidationError, match=field):
        record(**{"claim_id" if field == "id" else field: SCRIPT})
