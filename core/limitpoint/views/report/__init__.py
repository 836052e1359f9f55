"""The report page of a ledger."""

from limitpoint.views.report.page import mathematics, number, render, write_report

__all__ = ["mathematics", "number", "render", "write_report"]
