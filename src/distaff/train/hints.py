"""What lightning says at each training and no user can act upon: advertisements, hints for big machines."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_hints"]

LOGGER = "lightning.pytorch.utilities.rank_zero"
ADVERTISEMENT = "💡 Tip:"
WARNINGS = (
    ".isinstance.treespec, LeafSpec.. is deprecated",  # of torch, to lightning
    "The number of training batches .* is smaller than the logging interval",  # our chunks of steps
    "The '.*' does not have many workers",  # counts come from memory
    "Found .* module.s. in eval mode at the start of training",  # as they should be
)


@contextmanager
def without_hints() -> Iterator[None]:
    """Leave them out; all other warnings and messages are shown."""
    logger = logging.getLogger(LOGGER)
    logger.addFilter(_no_advertisement)
    try:
        with warnings.catch_warnings():
            for message in WARNINGS:
                warnings.filterwarnings("ignore", message=message, module=r"lightning\.")
            yield
    finally:
        logger.removeFilter(_no_advertisement)


def _no_advertisement(record: logging.LogRecord) -> bool:
    return ADVERTISEMENT not in str(record.msg)
