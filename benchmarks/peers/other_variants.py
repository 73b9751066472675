"""What was tried of the models beside ``ProgramVAE``: starts, weights of the KL, gates and masks."""

from __future__ import annotations

from methods import Method, annotated, ours

import distaff as ds

__all__ = ["OTHERS"]

LINEAR, BETA, SPARSE = ds.model.LinearVAE, ds.model.BetaVAE, ds.model.SparseVAE
RARE = {"slow": True, "default": False}

OTHERS: dict[str, Method] = {
    "LinearVAE, no batch norm": ours(LINEAR, batch_norm=False, **RARE),
    "LinearVAE, NMF start, no batch norm": ours(LINEAR, batch_norm=False, init="nmf", **RARE),
    "BetaVAE, beta 2": ours(BETA, beta=2.0, **RARE),
    "BetaVAE, beta 5": ours(BETA, beta=5.0, **RARE),
    "BetaVAE, beta 10, capacity 10": ours(BETA, beta=10.0, capacity=10.0, **RARE),
    "SparseVAE, 3 on": ours(SPARSE, target_active=3.0, **RARE),
    "SparseVAE, 5 on": ours(SPARSE, target_active=5.0, **RARE),
    "SparseVAE, 3 on, the paper's gate": ours(SPARSE, target_active=3.0, relaxation="vsc", **RARE),
    "SparseVAE, 3 on, pseudo-inputs": ours(SPARSE, target_active=3.0, prior="pseudo_input", **RARE),
    "SparseVAE, 3 on, slab warm-up": ours(SPARSE, target_active=3.0, slab_warmup=True, **RARE),
    "AnnotatedVAE, hard mask": annotated(mask="hard", default=False),
    "AnnotatedVAE, random start": annotated(init=None, default=False),
}
