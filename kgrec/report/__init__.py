"""One page about a run: what it learned from, how good it is, why it recommends what it does."""

from kgrec.report.gather import Example, ReportData, gather
from kgrec.report.page import report_html, write_report

__all__ = ["Example", "ReportData", "gather", "report_html", "write_report"]
