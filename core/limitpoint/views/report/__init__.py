"""The report page of a ledger."""

from limitpoint.views.report._claims import TITLES
from limitpoint.views.report.page import mathematics, number, render, write_report

__all__ = ["TITLES", "mathematics", "number", "render", "write_report"]
