"""Pages made of what the claims, the rivals, a ledger and the atlas say: docs/claims/, atlas.md."""

from __future__ import annotations

import inspect
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
from sphinx.application import Sphinx
from sphinx.util import logging

from extension.atlas import page
from limitpoint import Ledger, Record, UsageError, claims_of
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.erratum import BASES, FAULTS, SURENESS
from limitpoint.judgement.registry import titles
from limitpoint.ledger import Environment, Suite
from limitpoint.rivals import RIVALS
from limitpoint.rivals.matrix import Duel, Matrix
from limitpoint.views.curves import drawn, svg
from limitpoint.views.figures import FIGURES
from limitpoint.views.report import number

ROOT = Path(__file__).resolve().parents[2]
LATEST, BASELINE = ROOT / "reports/latest/ledger.json", ROOT / "reports/baseline.json"
ATLAS, ASV = ROOT / "reports/atlas.jsonl", ROOT / "reports/asv"
MUTANTS, DRAWN = ROOT / "reports/latest/mutants.json", ROOT / "reports/latest/figures"


def markdown(text: str) -> str:
    """Prose with LaTeX between dollar signs, as Markdown: what is no formula means itself."""
    parts = re.split(r"(\$[^$]+\$)", text)
    return "".join(
        part if index % 2 else re.sub(r"([\\`*_{}\[\]<>()#+!|~^$-])", r"\\\1", part)
        for index, part in enumerate(parts)
    )


def cell(text: str) -> str:
    """The same in a cell of a table, where a bar would end it."""
    return re.sub(r"(?<!\\)\|", r"\\|", markdown(text)).replace("\n", " ")


def bar(slack: float | None) -> str:
    """A slack as a bar: full is far inside, empty the edge, red a violation."""
    width = 0.0 if slack is None else min(abs(slack), 1.0)
    kind = "out" if slack is None or slack < 0 else "in"
    return f'<span class="slack {kind}" style="--share: {width:.3f}" aria-hidden="true"></span>'


def source(claim: Claim) -> str:
    """The test as it stands in its file, without what the page says already."""
    lines = inspect.getsource(claim.body).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("def "))
    return "\n".join(lines[start:])


def place(claim: Claim) -> str:
    """File and line of the test."""
    path = Path(inspect.getsourcefile(claim.body) or "").resolve()
    line = inspect.getsourcelines(claim.body)[1]
    return f"{path.relative_to(ROOT)}, line {line}"


def ledger() -> tuple[Ledger, Path]:
    """The ledger that the pages show: $LEDGER, else that of ./ci/claims, else the baseline.

    One of the last two that an earlier version wrote, and this one cannot read, counts as empty:
    the gate says what is wrong with it, and the pages that they have no evidence.
    """
    if named := os.environ.get("LEDGER"):
        return Ledger.read(Path(named)), Path(named)
    path = LATEST if LATEST.exists() else BASELINE
    try:
        return Ledger.read(path), path
    except UsageError as exc:
        logging.getLogger(__name__).info("claims: no evidence, %s", exc)
        return Ledger(Suite(), Environment(), []), path


def duels() -> dict[tuple[str, str, str], Duel]:
    """What `limitpoint mutants --json reports/latest/mutants.json` kept, by all three."""
    if not MUTANTS.exists():
        return {}
    return {(duel.claim, duel.role, duel.rival): duel for duel in Matrix.read(MUTANTS).duels}


def drawings(app: Sphinx) -> dict[str, str]:
    """The figures that `limitpoint figures` drew, copied into the sources, by name."""
    folder = Path(app.srcdir) / "figures"
    shutil.rmtree(folder, ignore_errors=True)
    if not DRAWN.exists():
        return {}
    shutil.copytree(DRAWN, folder)
    return {name: f"figures/{name}.png" for name in FIGURES if (folder / f"{name}.png").exists()}


def copy_dashboard(app: Sphinx, exc: Exception | None) -> None:
    """asv's page, made for a file by ci/dashboard, beside the scripts."""
    there = Path(app.outdir) / "_static/asv"
    shutil.rmtree(there, ignore_errors=True)
    if ASV.exists():
        shutil.copytree(ASV, there)


class Pages:
    """Writes pages into the folder of the sources; one that is as before is left alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: set[Path] = set()
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folder / "templates"),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self.templates.filters |= {
            "md": markdown, "cell": cell, "number": number, "bar": bar, "source": source,
            "place": place, "drawn": drawn, "svg": svg,
        }  # fmt: skip

    def write(self, name: str, template: str, **values: Any) -> None:
        """One page."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = self.templates.get_template(template).render(**values)
        self.written.add(path)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")

    def sweep(self, under: Iterable[str]) -> None:
        """Remove what an earlier build wrote and this one did not."""
        for folder in under:
            for path in (self.folder / folder).rglob("*.md"):
                if path not in self.written:
                    path.unlink()


def write_pages(app: Sphinx) -> None:
    """Every claim, every paper, the errata, the rivals."""
    found, path = ledger()
    inside = path.resolve().is_relative_to(ROOT)
    shown = path.resolve().relative_to(ROOT) if inside else Path(path.name)
    logging.getLogger(__name__).info("claims: evidence from %s", shown)
    records: dict[str, Record] = {}
    for record in found.claims:  # of several seeds the one closest to failing
        if record.id not in records or record.room < records[record.id].room:
            records[record.id] = record
    by_paper = {paper: claims_of(paper) for paper in titles()}
    killers = {
        name: [
            c
            for claims in by_paper.values()
            for c in claims
            if name in [rival for _, rival in c.named]
        ]
        for name in RIVALS
    }
    pages = Pages(Path(app.srcdir))
    common = {
        "records": records, "ledger": found, "path": shown, "rivals": RIVALS, "titles": titles(),
        "bases": BASES, "sureness": SURENESS, "faults": FAULTS, "duels": duels(),
    }  # fmt: skip
    for paper, claims in by_paper.items():
        pages.write(
            f"claims/{paper}/index.md", "paper.md.jinja", paper=paper, claims=claims, **common
        )
        for claim in claims:
            pages.write(f"claims/{claim.id}.md", "claim.md.jinja", claim=claim, **common)
    pages.write("claims/index.md", "claims.md.jinja", papers=by_paper, **common)
    pages.write("claims/rivals.md", "rivals.md.jinja", killers=killers, **common)
    errata = [c for claims in by_paper.values() for c in claims if c.erratum]
    pages.write("claims/errata.md", "errata.md.jinja", errata=errata, **common)
    pages.write("figures.md", "figures.md.jinja", figures=FIGURES.values(), drawn=drawings(app))
    asv = "_static/asv/index.html" if ASV.exists() else ""
    pages.write("speed.md", "speed.md.jinja", dashboard=asv)
    pages.write("atlas.md", "atlas.md.jinja", **page(ATLAS, ROOT / "docs/reproductions"))
    pages.sweep(["claims"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", write_pages)
    app.connect("build-finished", copy_dashboard)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
