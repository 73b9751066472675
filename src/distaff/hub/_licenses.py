"""Licences that Hugging Face knows, but for those of single companies' models.

https://huggingface.co/docs/hub/repositories-licenses
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from distaff._checks import error, listing

__all__ = ["check_license"]

CREATIVE_COMMONS = (
    *("cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0"),
    *("cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0"),
    *("cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0"),
)
DATA_AND_MODELS = (
    *("c-uda", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "etalab-2.0", "gfdl"),
    *("odbl", "odc-by", "pddl", "openmdw-1.0", "openrail", "openrail++", "bigscience-openrail-m"),
    *("creativeml-openrail-m", "bigcode-openrail-m", "bigscience-bloom-rail-1.0"),
    "fair-noncommercial-research-license",
)
SOFTWARE = (
    *("afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bsd", "bsd-2-clause", "bsd-3-clause"),
    *("bsd-3-clause-clear", "bsl-1.0", "ecl-2.0", "epl-1.0", "epl-2.0", "eupl-1.1", "eupl-1.2", "gpl"),
    *("gpl-2.0", "gpl-3.0", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0", "lgpl-lr", "lppl-1.3c", "mit", "mpl-2.0"),
    *("ms-pl", "ncsa", "ofl-1.1", "osl-3.0", "postgresql", "unlicense", "wtfpl", "zlib"),
)
LICENSES = frozenset((*CREATIVE_COMMONS, *DATA_AND_MODELS, *SOFTWARE, "other", "unknown"))


def check_license(license: Any) -> str | None:
    """Return the licence as Hugging Face writes it; None stays None."""
    if license is None:
        return None
    if not isinstance(license, str):
        raise error("license must be a text", got=repr(license), kind=TypeError)
    known = license.lower()
    if known not in LICENSES:
        close = get_close_matches(known, sorted(LICENSES), n=3, cutoff=0.5)
        raise error(
            "license must be an identifier that Hugging Face knows",
            got=repr(license),
            fix=f"Close to it are {listing(close)}." if close else "Pass 'other', and describe it.",
        )
    return known
