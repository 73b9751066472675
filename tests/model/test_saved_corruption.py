"""A damaged or made-up file gives an error that names it, or the same model; it takes no memory and runs nothing."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import struct
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from distaff.model import FSCLVM, AnnotatedVAE, Autoencoder, BetaVAE
from distaff.model._saved_document import dump_document

sys.path.insert(0, str(Path(__file__).parent))
from make_saved_models import SMALL, fitted

sys.path.pop(0)
N_POSITIONS = 400  # in each file
MOST_MEMORY = 200 * 2**20  # bytes by which the process may grow
MOST_SECONDS = 20.0  # of the processor
RULES = ("must be as it was saved", "must be a model that distaff saved")
REFUSED = r"model.json must (be as it was saved, got a corrupt file|describe a \w+ that this version)"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of a model."""
    folder = tmp_path_factory.mktemp("whole")
    fitted(BetaVAE, n_latent=2, **SMALL).save(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """Copy of it."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def state_of(folder):
    model = BetaVAE.load(folder, adata=False, accelerator="cpu")
    curves = {name: curve.to_numpy() for name, curve in model.history.items()}
    genes = model.registry["field_registries"]["X"]["state_registry"]["column_names"]
    return model.module.state_dict(), curves, list(genes), model.init_params_, model.train_indices_


def is_same(one, two):
    return (
        all(torch.equal(one[0][name], value) for name, value in two[0].items())
        and all(np.array_equal(one[1][name], value, equal_nan=True) for name, value in two[1].items())
        and one[2:4] == two[2:4]
        and np.array_equal(one[4], two[4])
    )


def outcome(folder, name, expected):
    """Whether the file gave an error that is allowed ("error") or the same model ("same")."""
    try:
        found = state_of(folder)
    except ValueError as exception:
        message = str(exception)
        if name in message and any(rule in message for rule in RULES):
            return "error"
        raise
    assert is_same(found, expected)
    return "same"


def positions(n_bytes, seed):
    """The first and last bytes, and others in between."""
    rng = np.random.default_rng(seed)
    inner = rng.choice(n_bytes, min(N_POSITIONS, n_bytes), replace=False)
    return sorted({*range(min(32, n_bytes)), *range(max(0, n_bytes - 32), n_bytes), *inner.tolist()})


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "model.pt"])
def test_flipped_bytes(folder, name):
    expected = state_of(folder)
    if name == "model.pt":  # read only where it is alone
        (folder / "model.json").unlink()
        (folder / "model.safetensors").unlink()
    data = (folder / name).read_bytes()
    rng, outcomes = np.random.default_rng(1), []
    for position in positions(len(data), seed=0):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(rng.integers(8))
        (folder / name).write_bytes(damaged)
        outcomes.append(outcome(folder, name, expected))
    assert len(outcomes) >= 400
    # torch's part of model.pt is not read; one digit more or less of white space is no damage to JSON
    assert outcomes.count("error") >= (100 if name == "model.pt" else len(outcomes) - 5)


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "model.pt"])
def test_cut_files(folder, name):
    expected = state_of(folder)
    if name == "model.pt":
        (folder / "model.json").unlink()
        (folder / "model.safetensors").unlink()
    data = (folder / name).read_bytes()
    for length in positions(len(data), seed=2)[::4]:
        (folder / name).write_bytes(data[:length])
        assert outcome(folder, name, expected) == "error"
    for longer in (data + b"\0", data + b"{}", data + data):
        (folder / name).write_bytes(longer)
        outcome(folder, name, expected)


def test_missing_tensors_are_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model.safetensors must be there, got no such file"):
        BetaVAE.load(folder, adata=False)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="must hold a saved model"):
        BetaVAE.load(folder, adata=False)


JSON = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "number": b"1",
    "not UTF-8": b"\xff\xfe{}",
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "closed deep lists": b"[" * 100_000 + b"]" * 100_000,
    "many digits": b'{"format": ' + b"9" * 100_000 + b"}",
    "huge number": b'{"format": 1e999}',
    "another format": b'{"format": "other"}',
}


@pytest.mark.parametrize("case", JSON)
def test_other_json(folder, case):
    (folder / "model.json").write_bytes(JSON[case])
    with pytest.raises(ValueError, match=r"model.json must be as it was saved, got a corrupt file"):
        BetaVAE.load(folder, adata=False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"schema":1', b'"schema":1,"schema":1'),
        (b'"dropout_rate":0.1', b'"dropout_rate":NaN'),
        (b'"dropout_rate":0.1', b'"dropout_rate":-Infinity'),
        (b'"dropout_rate":0.1', b'"dropout_rate":1e400'),
        (b'"class":"BetaVAE"', b'"class":"LinearVAE"'),
        (b'"n_latent":2', b'"n_latent":3'),
    ],
    ids=str,
)
def test_json_that_was_changed(folder, old, new):
    data = (folder / "model.json").read_bytes()
    assert old in data
    (folder / "model.json").write_bytes(data.replace(old, new))
    with pytest.raises(ValueError, match="model.json must be as it was saved"):
        BetaVAE.load(folder, adata=False)


def test_other_layout_of_the_same_json_is_no_damage(folder):
    expected = state_of(folder)
    document = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    assert is_same(state_of(folder), expected)


def rewrite(folder, change):
    """Change the JSON as one would who knows how its checksum is made."""
    document = json.loads((folder / "model.json").read_text())
    del document["sha256"]
    change(document)
    (folder / "model.json").write_bytes(dump_document(document))


def test_model_of_a_later_version(folder):
    rewrite(folder, lambda document: document.update(schema=2))
    with pytest.raises(ValueError, match=r"model.json must have a schema.*got 2. Install a later version"):
        BetaVAE.load(folder, adata=False)


def put_tensors(folder, data):
    """Replace the tensors, with the right checksum."""
    (folder / "model.safetensors").write_bytes(data)
    checksum = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    rewrite(folder, lambda document: document.update(tensors=checksum))


def header(content):
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text


HUGE = 10**12
TENSORS = {
    "empty": b"",
    "short": b"\0" * 7,
    "huge header": struct.pack("<Q", 2**63) + b"{}",
    "header of a terabyte": struct.pack("<Q", 2**40) + b"{}",
    "huge shape": header({"a": {"dtype": "F32", "shape": [HUGE, HUGE], "data_offsets": [0, 4]}}) + b"\0" * 4,
    "huge offsets": header({"a": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}}),
    "huge and empty": header({"a": {"dtype": "F32", "shape": [HUGE, 0], "data_offsets": [0, 0]}}),
    "overlap": header(
        {n: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} for n in ("a", "b")},
    )
    + b"\0" * 4,
    "unknown type": header({"a": {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 1]}}) + b"\0",
    "deep header": struct.pack("<Q", 10**6) + b"[" * 10**6,
    "no JSON": struct.pack("<Q", 3) + b"abc",
    "nothing": header({}),
}


@pytest.fixture
def bounded():
    """The test may take neither much memory nor long, on however busy a machine."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY
    assert time.process_time() - start < MOST_SECONDS


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("case", TENSORS)
def test_made_up_tensors(folder, case):
    put_tensors(folder, TENSORS[case])
    with pytest.raises(ValueError, match=rf"model.safetensors must be as it was saved|{REFUSED}"):
        BetaVAE.load(folder, adata=False)


def arguments(document):
    return document["attributes"]["init_params_"]["non_kwargs"]


def field(document, name, part):
    return document["attributes"]["registry_"]["field_registries"][name][part]


CLAIMS = {
    "latent": lambda d: arguments(d).update(n_latent=HUGE),
    "latent, less": lambda d: arguments(d).update(n_latent=1500, n_hidden=1500),
    "width": lambda d: arguments(d).update(n_hidden=10**9),
    "layers": lambda d: arguments(d).update(n_layers=10**9),
    "layers, less": lambda d: arguments(d).update(n_layers=30),
    "negative": lambda d: arguments(d).update(n_latent=-1),
    "no number": lambda d: arguments(d).update(n_latent=[2]),
    "argument": lambda d: arguments(d).update(unknown=1),
    "batches": lambda d: field(d, "batch", "summary_stats").update(n_batch=HUGE),
    "labels": lambda d: field(d, "labels", "summary_stats").update(n_labels=10**9),
    "genes": lambda d: field(d, "X", "summary_stats").update(n_vars=HUGE),
    "categories": lambda d: field(d, "extra_categorical_covs", "state_registry").update(
        n_cats_per_key=[HUGE]
    ),
    "covariates": lambda d: field(d, "extra_continuous_covs", "summary_stats").update(
        n_extra_continuous_covs=HUGE
    ),
    "array": lambda d: d["attributes"].update(note_={"$array": "array:99999"}),
    "one array twice": lambda d: d["attributes"].update(note_=[d["attributes"]["train_indices_"]] * 2),
    "tag": lambda d: d["attributes"].update(note_={"$pickle": "gASV"}),
    "wide text": lambda d: d["attributes"].update(
        note_={"$objects": ["x" * 10**6, *[""] * 10**4], "$items": []}
    ),
    "method": lambda d: d["attributes"].update(train="me"),
    "private": lambda d: d["attributes"].update(__class__="me"),
    "no registry": lambda d: d["attributes"].pop("registry_"),
    "registry of another kind": lambda d: d["attributes"].update(registry_=[]),
    "no arguments": lambda d: d["attributes"].pop("init_params_"),
    "no attributes": lambda d: d.pop("attributes"),
    "no tensors": lambda d: d.pop("tensors"),
    "path": lambda d: d["tensors"].update(sha256="../../x"),
    "size": lambda d: d["tensors"].update(bytes="many"),
    "data": lambda d: d.update(anndata=[1]),
    "curves": lambda d: d["attributes"].update(history_={"train_loss": 1}),
    "trained": lambda d: d["attributes"].update(is_trained_="yes"),
    "seed": lambda d: d["attributes"].update(seed_=0.5),
    "cells": lambda d: d["attributes"].update(train_indices_=[0.5]),
    "names of genes": lambda d: field(d, "X", "state_registry").update(column_names=[1] * 12),
    "names of batches": lambda d: field(d, "batch", "state_registry").update(
        categorical_mapping=[{}, "second"]
    ),
    "more batches": lambda d: field(d, "batch", "state_registry").update(categorical_mapping=["a", "b", "c"]),
    "column of batches": lambda d: field(d, "batch", "state_registry").update(original_key=None),
    "categories of a covariate": lambda d: field(d, "extra_categorical_covs", "state_registry").update(
        mappings={"donor": 0}
    ),
    "other covariates": lambda d: field(d, "extra_continuous_covs", "state_registry").update(
        columns=["size"]
    ),
    "no field": lambda d: d["attributes"]["registry_"]["field_registries"]["labels"].pop("state_registry"),
    "setup": lambda d: d["attributes"]["registry_"]["setup_args"].pop("layer"),
}


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("case", CLAIMS)
def test_made_up_claims(folder, case):
    rewrite(folder, CLAIMS[case])
    with pytest.raises(ValueError, match=REFUSED):
        BetaVAE.load(folder, adata=False)


SETS = {
    "shape": lambda sets: sets.update(shape=[10**6, 10**6]),
    "names": lambda sets: sets.update(names=["x"] * 10**5, shape=[12, 10**5]),
    "gene": lambda sets: sets["genes"].append(10**9),
}


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("cls", [AnnotatedVAE, FSCLVM])
@pytest.mark.parametrize("case", SETS)
def test_made_up_gene_sets(tmp_path, cls, case):
    fitted(cls, **(SMALL if cls is AnnotatedVAE else {})).save(tmp_path)
    rewrite(tmp_path, lambda d: SETS[case](d["attributes"]["registry_"]["distaff_gene_sets"]))
    with pytest.raises(ValueError, match=REFUSED):
        cls.load(tmp_path, adata=False)


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("layers", [[10**6, 10**6], [3] * 10**5, [HUGE]])
def test_made_up_layers(tmp_path, layers):
    fitted(Autoencoder, layers=(4, 3), n_latent=2).save(tmp_path)
    rewrite(tmp_path, lambda d: arguments(d).update(layers={"$tuple": layers}))
    with pytest.raises(ValueError, match=REFUSED):
        Autoencoder.load(tmp_path, adata=False)


def test_other_weights_than_the_model_has(folder):
    tensors = load((folder / "model.safetensors").read_bytes())
    key = "posterior.mean.weight"
    for changed in (
        {**tensors, "extra": torch.zeros(2)},
        {name: value for name, value in tensors.items() if name != key},
        {**tensors, key: tensors[key][:1]},
    ):
        put_tensors(folder, save(changed))
        with pytest.raises(ValueError, match=REFUSED):
            BetaVAE.load(folder, adata=False)


def write_copy(folder, parts, *, compressed=False):
    (folder / "model.json").unlink(missing_ok=True)
    (folder / "model.safetensors").unlink(missing_ok=True)
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(folder / "model.pt", "w", kind) as archive:
        for name, data in parts.items():
            archive.writestr(f"archive/distaff/{name}", data)


@pytest.mark.usefixtures("bounded")
def test_made_up_copies(folder):
    parts = {name: (folder / name).read_bytes() for name in ("model.json", "model.safetensors")}
    expected = state_of(folder)
    write_copy(folder, parts)
    assert is_same(state_of(folder), expected)
    bomb = b"\0" * 10**8
    for other, compressed in (
        ({"model.json": parts["model.json"]}, False),
        ({"model.safetensors": parts["model.safetensors"]}, False),
        ({**parts, "model.safetensors": b""}, False),
        ({**parts, "model.json": b"{}"}, False),
        ({**parts, "model.json": bomb}, True),
    ):
        write_copy(folder, other, compressed=compressed)
        with pytest.raises(ValueError, match=r"model.pt.* must be as it was saved"):
            BetaVAE.load(folder, adata=False)
