"""Push to and pull from S3: a real server on this machine, boto3, and scvi-tools' own methods."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from hub_kit import assert_maps_a_query

import distaff as ds

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
moto_server = pytest.importorskip("moto.server", reason="moto is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
SECRET = "s3secrets3secret"
FILES = ["README.md", "_scvi_required_metadata.json", "model.pt"]


@pytest.fixture(scope="module")
def server():
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def s3(server, monkeypatch, tmp_path):
    """Client with a bucket, as boto3 finds it in its environment."""
    settings = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers who one was
    client = boto3.client("s3")
    client.create_bucket(Bucket="models")
    yield client
    for item in client.list_objects_v2(Bucket="models").get("Contents", []):
        client.delete_object(Bucket="models", Key=item["Key"])
    client.delete_bucket(Bucket="models")


def names(client):
    return sorted(item["Key"] for item in client.list_objects_v2(Bucket="models").get("Contents", []))


def test_pull_load_query_factor_table(s3, saved, query, no_pickle, tmp_path):
    from scvi.hub import HubModel

    model = saved("AnnotatedVAE")
    latent = model.get_latent_representation()
    assert ds.hub.push(model, "s3://models/lab/kang/", license="mit") == "s3://models/lab/kang"
    assert names(s3) == sorted(f"lab/kang/{name}" for name in [*FILES, "adata.h5ad"])
    ds.hub.load(
        "s3://models/lab/kang"
    )  # numba keeps compiled loops as pickles of its own: they are loaded now
    with no_pickle():
        pulled = ds.hub.load("s3://models/lab/kang")  # model.pt alone, and no pickle of it is read
        (tmp_path / "pulled").mkdir()
        hub = HubModel.pull_from_s3("models", "lab/kang", cache_dir=str(tmp_path / "pulled"))
        hub.load_model(accelerator="cpu")
    for loaded in (pulled, hub.model):
        np.testing.assert_allclose(loaded.get_latent_representation(), latent, rtol=1e-5, atol=1e-6)
    assert list(assert_maps_a_query(pulled, query).index) == ["low", "middle", "Sparse 1", "Dense 1"]
    assert 'HubModel.pull_from_s3("models", "lab/kang")' in hub.model_card.content
    for key in names(s3):
        assert SECRET.encode() not in s3.get_object(Bucket="models", Key=key)["Body"].read()


def test_without_data_and_without_credentials(s3, saved, monkeypatch):
    model = saved("LinearVAE")
    ds.hub.push(model, "s3://models/kang", save_anndata=False)
    assert names(s3) == [f"kang/{name}" for name in FILES]
    for key in names(s3):
        s3.put_object_acl(Bucket="models", Key=key, ACL="public-read")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    loaded = ds.hub.load("s3://models/kang")
    assert loaded.adata is None
    assert ds.hub.load("s3://models/kang", adata=model.adata).adata is model.adata
    with pytest.raises(
        ConnectionError, match="must be within reach and open to you, got Unable to locate cred"
    ):
        ds.hub.push(model, "s3://models/mine")


def test_a_place_that_is_taken(s3, saved):
    model = saved("LinearVAE")
    ds.hub.push(model, "s3://models/kang")
    with pytest.raises(ValueError, match=r"s3://models/kang must hold no model, got one.*overwrite=True"):
        ds.hub.push(model, "s3://models/kang")
    ds.hub.push(saved("BetaVAE"), "s3://models/kang", save_anndata=False, overwrite=True)
    assert type(ds.hub.load("s3://models/kang")) is ds.model.BetaVAE
    assert names(s3) == [f"kang/{name}" for name in FILES]


def test_data_of_another_model_are_noticed(s3, saved):
    ds.hub.push(saved("LinearVAE"), "s3://models/kang")
    ds.hub.push(saved("BetaVAE"), "s3://models/other")
    s3.copy_object(Bucket="models", Key="kang/adata.h5ad", CopySource="models/other/adata.h5ad")
    with pytest.raises(ValueError, match="adata.h5ad must be as it was saved, got a corrupt file"):
        ds.hub.load("s3://models/kang")


def test_what_goes_wrong_is_told(s3, saved, monkeypatch):
    model = saved("LinearVAE")
    for place in ("s3://models/nothing", "s3://nobucket/kang"):
        with pytest.raises(FileNotFoundError, match=f"{place} must be within reach and open to you, got"):
            ds.hub.load(place)
    with pytest.raises(FileNotFoundError, match="got NoSuchBucket"):
        ds.hub.push(model, "s3://nobucket/kang", save_anndata=False)
    for address in ("s3://models", "s3:///kang", "s3://models/"):
        with pytest.raises(ValueError, match=r"An address on S3 must be s3://bucket/path"):
            ds.hub.load(address)
    with pytest.raises(ValueError, match="revision must be None"):
        ds.hub.load("s3://models/kang", revision="main")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(ConnectionError, match=r"s3://models/kang must be within reach.*AWS_ENDPOINT_URL"):
            ds.hub.load("s3://models/kang")


def test_no_right_to_a_bucket(s3, saved, server):
    import requests

    ds.hub.push(saved("LinearVAE"), "s3://models/kang", save_anndata=False)
    requests.post(f"{server}/moto-api/reset-auth", data=b"0", timeout=10)  # from here on keys are checked
    try:
        with pytest.raises(PermissionError, match="must be within reach and open to you, got 403"):
            ds.hub.load("s3://models/kang")
    finally:
        requests.post(f"{server}/moto-api/reset-auth", data=b"1000000", timeout=10)
