"""Decoder arguments: from the name of a decoder to the part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from distaff._checks import check_choice, check_flag, check_int, check_number, error
from distaff.nn.additive_decoder import AdditiveDecoder
from distaff.nn.annotated_decoder import AnnotatedDecoder
from distaff.nn.covariates import CovariateSpec
from distaff.nn.decoders import AbstractDecoder, MLPDecoder
from distaff.nn.linear_decoder import LinearDecoder
from distaff.nn.readouts import AbstractRate, AdditiveRate, LogLinearRate
from distaff.nn.terms import Terms

__all__ = ["DECODERS", "LINEAR", "OWN_DECODERS", "DecoderConfig"]

DECODERS = ("mlp", "linear", "additive", "annotated")
OWN_DECODERS: dict[str, Callable[..., AbstractDecoder]] = {}  # see distaff.extend.register
LINEAR = ("linear", "annotated")
MASKS = ("soft", "hard")
PROXES = ("metric", "paper")
RATES: dict[str, type[AbstractRate]] = {"log": LogLinearRate, "additive": AdditiveRate}


@dataclass(frozen=True)
class DecoderConfig:
    """Decoder arguments of a model; see :class:`~distaff.model.FactorVAE`."""

    decoder: str
    widths: tuple[int, ...] = ()
    batch_norm: bool = False
    non_negative: bool = False
    rate: str = "log"
    mask: str = "soft"
    n_sparse: int = 0
    n_dense: int = 0
    lambda_off_mask: float = 0.0
    lambda_sparse: float = 0.0
    lambda_group: float = 0.0
    prox: str = "metric"

    def __post_init__(self) -> None:
        check_choice("decoder", self.decoder, (*DECODERS, *OWN_DECODERS))
        check_choice("mask", self.mask, MASKS)
        check_choice("rate", self.rate, RATES)
        check_choice("prox", self.prox, PROXES)
        for name in ("batch_norm", "non_negative"):
            check_flag(name, getattr(self, name))
        for name in ("n_sparse", "n_dense"):
            check_int(name, getattr(self, name), minimum=0)
        for name in ("lambda_off_mask", "lambda_sparse", "lambda_group"):
            check_number(name, getattr(self, name), minimum=0)
        if self.decoder not in LINEAR and (self.non_negative or self.rate != "log"):
            raise error(
                "non_negative and rate must keep their defaults",
                got=f"decoder={self.decoder!r}",
                fix="They go with decoder='linear' or 'annotated'.",
            )
        if self.rate == "additive" and not self.non_negative:
            raise error(
                "rate='additive' must have non_negative=True",
                got=False,
                fix="A negative sum over factors is no rate.",
            )
        if self.decoder == "annotated" and self.non_negative:
            self._check_reachable_zeros()

    def _check_reachable_zeros(self) -> None:
        penalties = self.lambda_off_mask, self.lambda_sparse, self.lambda_group
        if self.mask == "soft" or any(penalties[1:]):
            raise error(
                "An annotated decoder with non_negative=True must have mask='hard' and no penalty",
                got=f"mask={self.mask!r}",
                fix="Penalties set weights to exactly zero, which softplus never is.",
            )

    def part(
        self,
        n_latent: int,
        n_genes: int,
        heads: Sequence[str],
        spec: CovariateSpec,
        annotation: np.ndarray | None,
        added: Sequence[Terms] = (),
    ) -> AbstractDecoder:
        """Decoder for the heads of a likelihood."""
        if self.decoder in OWN_DECODERS:
            return OWN_DECODERS[self.decoder](n_latent, n_genes, heads, spec=spec)
        if self.decoder == "mlp":
            return MLPDecoder(n_latent, n_genes, heads, widths=self.widths, spec=spec)
        if self.decoder == "additive":
            return AdditiveDecoder(n_latent, n_genes, heads, spec=spec)
        rate = RATES[self.rate]()
        if annotation is None:
            return LinearDecoder(
                n_latent,
                n_genes,
                heads,
                batch_norm=self.batch_norm,
                non_negative=self.non_negative,
                rate=rate,
                spec=spec,
            )
        return AnnotatedDecoder(
            torch.tensor(annotation),
            heads,
            n_sparse=self.n_sparse,
            n_dense=self.n_dense,
            hard=self.mask == "hard",
            off_mask=self.lambda_off_mask,
            sparse=self.lambda_sparse,
            group=self.lambda_group,
            in_metric=self.prox == "metric",
            non_negative=self.non_negative,
            rate=rate,
            spec=spec,
            added=added,
        )
