"""Push and pull through huggingface_hub, in a process of its own: the package reads HF_ENDPOINT when imported.

``python huggingface_child.py FOLDER`` prints what came out as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import warnings
from pathlib import Path

from loopback_hub import LoopbackHub

SECRET = "hf_secretsecretsecret"


def prepare(folder, url):
    """Before huggingface_hub is imported."""
    os.environ |= {
        "HF_ENDPOINT": url,
        "HF_HOME": str(folder / "cache"),
        "HF_TOKEN": SECRET,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)


def saved(name):
    from hub_kit import SAVED, cells_of, class_of

    import distaff as ds

    return class_of(name).load(SAVED / ds.__version__ / name, cells_of(name), accelerator="cpu")


def message(call, *args, **options):
    """Kind and text of the error."""
    try:
        call(*args, **options)
    except Exception as exception:  # noqa: BLE001 - any of them is told
        return [type(exception).__name__, str(exception)]
    return ["", ""]


def as_nobody(call, *args):
    """Error of a call without the token."""
    del os.environ["HF_TOKEN"]
    try:
        return message(call, *args)
    finally:
        os.environ["HF_TOKEN"] = SECRET


def push_and_pull(server):
    """One model there and back, by distaff and by scvi-tools."""
    import numpy as np
    from hub_kit import assert_maps_a_query, tiny_data
    from scvi.hub import HubModel

    import distaff as ds

    model = saved("AnnotatedVAE")
    latent = model.get_latent_representation()
    address = ds.hub.push(model, "lab/kang_pbmc", license="mit", description="First.")
    repository = server.repositories["lab/kang_pbmc"]
    commit = address.rsplit("/", 1)[1]
    yield "address", address.replace(server.url, "URL").replace(commit, "COMMIT")
    yield "commit", commit
    yield "files", sorted(repository.versions[commit])
    yield "private", repository.private
    yield "commits", len(repository.versions) - 1
    card = repository.versions[commit]["README.md"].decode()
    yield "card", card

    pulled = ds.hub.load("lab/kang_pbmc")
    yield "class", type(pulled).__name__
    yield "same", bool(np.allclose(pulled.get_latent_representation(), latent, atol=1e-5))
    cells = tiny_data()
    cells.obs["batch"] = ["new"] * cells.n_obs
    yield "table", list(assert_maps_a_query(pulled, cells).index)
    hub = HubModel.pull_from_huggingface_hub("lab/kang_pbmc")
    hub.load_model(accelerator="cpu")
    yield "same in scvi", bool(np.allclose(hub.model.get_latent_representation(), latent, atol=1e-5))
    yield "cells in scvi", hub.adata.n_obs
    yield "card in scvi", str(hub.model_card) == card


def replace(server, folder, commit):
    """Another model in the place of the first."""
    import distaff as ds

    model, repository = saved("AnnotatedVAE"), server.repositories["lab/kang_pbmc"]
    yield "taken", message(ds.hub.push, model, "lab/kang_pbmc")
    ds.hub.save(model, folder / "edited", save_anndata=False)
    card = folder / "edited" / "README.md"
    card.write_text(card.read_text().replace("None was given.", "By hand."))
    ds.hub.push(folder / "edited", "lab/kang_pbmc", overwrite=True)
    newest = repository.versions[repository.version("main")]
    yield "edited", "By hand." in newest["README.md"].decode()
    yield "files without data", sorted(newest)
    yield "newest has data", ds.hub.load("lab/kang_pbmc").adata is not None
    yield "pinned has data", ds.hub.load("lab/kang_pbmc", revision=commit).adata is not None
    ds.hub.push(saved("LinearVAE"), "lab/open", private=False, save_anndata="full")
    yield "open", not server.repositories["lab/open"].private


def follow_the_page(server, folder):
    """What docs/hub.md says of Hugging Face, as it stands there."""
    import distaff as ds

    page = Path(__file__).parents[2] / "docs" / "hub.md"
    if not page.is_file():  # the source distribution has no docs
        return
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    del server.repositories["lab/kang_pbmc"]
    (folder / "page").mkdir()
    os.chdir(folder / "page")
    ds.hub.save(saved("AnnotatedVAE"), "kang")
    names = {"ds": ds}
    for block in blocks:
        if '"lab/kang_pbmc"' in block:
            exec(block, names)
    yield "page", [names["address"].split("/tree/")[0].removeprefix(server.url), names["model"].adata.n_obs]


def fail(server, folder, commit):
    """All that can go wrong."""
    import huggingface_hub

    import distaff as ds

    edited = folder / "edited"
    server.repositories["lab/hidden"] = server.repositories["lab/kang_pbmc"]
    yield "nobody reads", as_nobody(ds.hub.load, "lab/hidden")
    yield "nobody writes", as_nobody(ds.hub.push, edited, "lab/other")
    yield "closed", message(ds.hub.push, edited, "closed/model")
    yield "no repository", message(ds.hub.load, "lab/nothing")
    yield "no revision", message(ds.hub.load, "lab/open", revision="v9")
    server.repositories["lab/open"].versions["1" * 40] = {"notes.txt": b"x"}
    yield "no model", message(ds.hub.load, "lab/open")
    kinds = ("create", "validate", "preupload", "batch", "commit", "verify")
    yield "asked", [kind for kind in kinds if any(kind in line for line in server.seen)]

    yield from follow_the_page(server, folder)
    server.close()
    yield "from the cache", ds.hub.load("lab/kang_pbmc", revision=commit).adata.n_obs
    yield "unreachable", message(ds.hub.load, "lab/never")
    yield "unreachable push", message(ds.hub.push, edited, "lab/never")
    huggingface_hub.constants.HF_HUB_OFFLINE = True  # as HF_HUB_OFFLINE=1 does
    yield "offline", message(ds.hub.load, "lab/never")
    yield "offline push", message(ds.hub.push, edited, "lab/never")
    written = [path for path in folder.rglob("*") if path.is_file()]
    pushed = [data for r in server.repositories.values() for v in r.versions.values() for data in v.values()]
    yield "secret in files", [str(path) for path in written if SECRET.encode() in path.read_bytes()]
    yield "secret pushed", sum(SECRET.encode() in data for data in pushed)


def main(folder):
    server = LoopbackHub(SECRET)
    prepare(folder, server.url)
    out = dict(push_and_pull(server))
    out |= dict(replace(server, folder, out["commit"]))
    out |= dict(fail(server, folder, out["commit"]))
    sys.stdout.write("\n" + json.dumps(out))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
