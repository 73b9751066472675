"""Do the models disentangle as well as NMF? One table over seeds.

Run from the root: ``DISTAFF_DATA=... OMP_NUM_THREADS=1 python benchmarks/recovery_programs.py --data kang``.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from _data import factorised, kang, log_normalised, one_thread, scores, simulated

import distaff as ds

MODELS = {
    "LinearVAE, random start": (ds.model.LinearVAE, {}),
    "LinearVAE, NMF start": (ds.model.LinearVAE, {"init": "nmf"}),
    "ProgramVAE": (ds.model.ProgramVAE, {}),
    "ProgramVAE, gate": (ds.model.ProgramVAE, {"gate": True}),
    "ProgramVAE, Kullback-Leibler start": (ds.model.ProgramVAE, {"init": "nmf_kl"}),
}


def main() -> None:
    """Print a row a method and seed as they come, then the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=("kang", "simulated"), default="kang")
    parser.add_argument("--cells", type=int, default=2000, help="simulated only")
    parser.add_argument("--genes", type=int, default=1000)
    parser.add_argument("--factors", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="the model's own number by default")
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for seed in range(options.seeds):
        adata, Y = (
            kang(options.genes) if options.data == "kang" else simulated(options.cells, options.genes, seed)
        )
        found = {
            name: (Z, 0.0) for name, Z in factorised(log_normalised(adata), options.factors, seed).items()
        }
        for name in options.models:
            found[name] = trained(adata, name, options, seed)
            rows.append(
                {"method": name, "seed": seed, **scores(found[name][0], Y), "seconds": found[name][1]}
            )
            print(rows[-1], flush=True)
        for name in list(found)[:3]:
            rows.append({"method": name, "seed": seed, **scores(found[name][0], Y), "seconds": 0.0})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).groupby("method", sort=False)
    print(table.agg(["mean", "std"]).round(3).to_string())


def trained(adata: object, name: str, options: argparse.Namespace, seed: int) -> tuple[np.ndarray, float]:
    """Latent of a model at its defaults, and the seconds that it took."""
    cls, arguments = MODELS[name]
    one_thread()
    cls.setup_anndata(adata)
    model = cls(adata, n_latent=options.factors, **arguments)
    start = time.perf_counter()
    model.train(options.epochs, seed=seed, accelerator="cpu", enable_progress_bar=False)
    return model.get_latent_representation(), time.perf_counter() - start


if __name__ == "__main__":
    main()
