"""What lightning says to everybody is not shown; what concerns the user is."""

from __future__ import annotations

import logging
import warnings

from distaff.model import LinearVAE
from distaff.train.hints import LOGGER, without_hints


def test_training_shows_no_hints(make_adata, caplog) -> None:
    adata = make_adata(40, 20)
    LinearVAE.setup_anndata(adata)
    model = LinearVAE(adata, n_latent=2)
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.INFO, logger=LOGGER):
        warnings.simplefilter("always")
        model.train(1, accelerator="cpu", enable_progress_bar=False)
    assert [str(warning.message) for warning in caught] == []
    assert "Tip" not in caplog.text
    assert "GPU available" in caplog.text


def test_other_warnings_and_messages_are_shown(caplog) -> None:
    logger = logging.getLogger(LOGGER)
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.INFO, logger=LOGGER):
        warnings.simplefilter("always")
        with without_hints():
            warnings.warn("The '.*' does not have many workers")  # not lightning's own
            logger.info("💡 Tip: buy this")
            logger.info("a message")
        logger.info("💡 Tip: after it")
    assert len(caught) == 1
    assert [record.message for record in caplog.records] == ["a message", "💡 Tip: after it"]
