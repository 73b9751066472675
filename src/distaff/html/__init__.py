"""The factor report: AnnData slots read, one page written."""

from distaff.html.report import report

__all__ = ["report"]
