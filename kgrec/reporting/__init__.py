"""One page about a run: what it learned from, how good it is, why it recommends what it does."""

from kgrec.reporting.gather import Example, ReportData, report
from kgrec.reporting.page import report_html, write_report

__all__ = ["Example", "ReportData", "report", "report_html", "write_report"]
