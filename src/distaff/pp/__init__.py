"""Preparation of data: counts."""

from distaff.pp.check_counts import check_counts

__all__ = ["check_counts"]
