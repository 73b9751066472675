"""What a user does in an afternoon, with every way to the network shut; run by test_offline in a process of its own.

An audit hook hears of each connection, look-up of a name and request, whoever asks for it.
"""

import sys
import warnings

TALK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request", "http.client.connect"}  # fmt: skip
heard = []


def listen(event, arguments):
    if event not in TALK:
        return
    if event == "socket.connect" and not isinstance(arguments[1], tuple):
        return  # a socket of this machine, by the name of a file
    heard.append(f"{event} {arguments[-1]}")
    raise OSError(f"No network without the user's word: {heard[-1]}")


def main(folder):
    import matplotlib as mpl

    mpl.use("Agg")
    import numpy as np

    import distaff as ds

    warnings.simplefilter("ignore")
    adata = ds.datasets.simulate_gep(80, 60, random_state=0)
    adata.obs["batch"] = ["a", "b"] * 40
    ds.pp.check_counts(adata)
    ds.pp.gene_sets(adata, {"one": list(adata.var_names[:20]), "two": list(adata.var_names[10:40])})
    fast = {"seed": 0, "accelerator": "cpu", "enable_progress_bar": False}
    kind = ds.model.AnnotatedVAE
    kind.setup_anndata(adata, batch_key="batch")
    model = kind(adata, n_hidden=8, init=None)
    model.train(1, **fast)
    model.save(folder / "model")
    again = kind.load(folder / "model", adata=adata.copy(), accelerator="cpu")
    np.testing.assert_array_equal(again.get_latent_representation(), model.get_latent_representation())
    kind.load_query_data(adata.copy(), model, accelerator="cpu")
    ds.tl.latent(adata, model)
    ds.tl.loadings(adata, model)
    ds.tl.factors(adata, model)
    ds.tl.disentanglement(adata, "batch", metrics="mig", references=None)
    ds.tl.rank_factors(adata, "batch")
    ds.tl.enrich(adata)
    ds.pl.variance(adata, show=False)
    adata.obsm["X_two"] = adata.obsm["X_distaff"][:, :2]
    ds.report(adata, folder / "report.html", basis="X_two")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert 'src="http' not in page
    assert "@import" not in page


if __name__ == "__main__":
    from pathlib import Path

    sys.addaudithook(listen)  # for good: not where this file is only imported
    main(Path(sys.argv[1]))
    assert not heard, heard
