"""The report page of a ledger."""

from limitpoint.views.report.page import render, write_report

__all__ = ["render", "write_report"]
