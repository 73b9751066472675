"""What the property tests share: how many examples, odd data, and what a call may and may not do."""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
import random
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anndata
import numpy as np
import pandas as pd
import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from scipy import sparse

LONG = os.environ.get("DISTAFF_PROPERTIES") == "long"
ODD_NAMES = ("", " ", "a b", "a/b", "β", "名前", "1", "0.5", "nan", "None", "x" * 300, "_index", ".", "T\tB")
SEEDS = st.integers(0, 2**32 - 1)
SECTION = re.compile(r"^Raises\n-+\n(.*?)(?=^[A-Z][A-Za-z ]+\n-{3,}\n|\Z)", re.M | re.S)
NAMED = (ConnectionError, FileNotFoundError, ImportError, KeyError, PermissionError, TypeError, ValueError)
ERRORS = {error.__name__: error for error in NAMED}


def examples(quick: int, *, long: int = 20) -> settings:
    """Settings of a test with so many examples, always the same; ``long`` times as many, new ones, on request."""
    return settings(
        max_examples=quick * long if LONG else quick,
        deadline=None,
        derandomize=not LONG,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


# --- data ------------------------------------------------------------------------------------------


def names(rng: np.random.Generator, n: int, prefix: str, *, odd: bool) -> list[str]:
    """Different names, among them odd ones if asked."""
    plain = [f"{prefix}{i}" for i in range(n)]
    if odd:
        chosen = rng.permutation(ODD_NAMES)[: min(n, 4)]
        plain[: len(chosen)] = [str(name) for name in chosen]
    return plain


LABELS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "one class": lambda rng, n: ["x"] * n,
    "all different": lambda rng, n: [f"c{i}" for i in rng.permutation(n)],
    "two": lambda rng, n: rng.choice(["ctrl", "stim"], n),
    "three": lambda rng, n: pd.Categorical(rng.choice(["B", "NK", "T"], n)),
    "unused": lambda rng, n: pd.Categorical(rng.choice(["u", "v"], n), categories=["z", "v", "a", "u"]),
    "ordered": lambda rng, n: pd.Categorical(
        rng.choice(["lo", "hi"], n), categories=["lo", "mid", "hi"], ordered=True
    ),
    "gaps": lambda rng, n: pd.Categorical(
        np.where(rng.random(n) < 0.3, None, rng.choice(["u", "v", "w"], n)), categories=["u", "v", "w"]
    ),
    "objects with gaps": lambda rng, n: pd.Series(
        [None if rng.random() < 0.3 else str(rng.choice(["u", "v"])) for _ in range(n)], dtype=object
    ),
    "all missing": lambda rng, n: pd.Series([None] * n, dtype=object),
    "odd names": lambda rng, n: pd.Categorical(rng.choice(ODD_NAMES[:6], n)),
    "numbers as names": lambda rng, n: pd.Categorical(rng.integers(0, 3, n)),
    "whole": lambda rng, n: rng.integers(0, 4, n),
    "booleans": lambda rng, n: rng.random(n) < 0.5,
    "nullable": lambda rng, n: pd.array(
        [None if rng.random() < 0.3 else int(rng.integers(3)) for _ in range(n)]
    ),
    "strings": lambda rng, n: pd.array(rng.choice(["u", "v"], n), dtype="string"),
    "zero and one": lambda rng, n: rng.integers(0, 2, n).astype(float),
    "real": lambda rng, n: rng.normal(size=n),
    "real with gaps": lambda rng, n: np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
    "float32": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "ties": lambda rng, n: rng.integers(0, 3, n) / 2,
}
CLASSES = tuple(name for name in LABELS if name not in {"real", "real with gaps", "float32", "ties"})


def label_column(kind: str, rng: np.random.Generator, n: int) -> pd.Series:
    """Column of labels (cells,) of a kind of ``LABELS``."""
    return pd.Series(LABELS[kind](rng, n)).reset_index(drop=True)


LATENT_FORMS = {
    "float64": lambda Z: Z,
    "float32": lambda Z: Z.astype(np.float32),
    "F": np.asfortranarray,
    "whole": lambda Z: np.rint(3 * Z).astype(np.int32),
    "unsigned": lambda Z: np.rint(3 * np.abs(Z)).astype(np.uint8),
    "booleans": lambda Z: Z > 0,
    "one constant": lambda Z: np.where(np.arange(Z.shape[1]) == 0, 0.1, Z),
    "constant": lambda Z: np.full_like(Z, -0.7),
    "twins": lambda Z: np.repeat(Z[:, :1], Z.shape[1], axis=1),
    "tiny": lambda Z: 1e-30 * Z,
    "huge": lambda Z: 1e30 * Z,
    "two scales": lambda Z: Z * 10.0 ** np.linspace(-8, 8, Z.shape[1]),
    "far": lambda Z: Z + 1e7,
    "sorted": lambda Z: np.sort(Z, axis=0),
    "shares": lambda Z: np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True),
    "missing": lambda Z: np.where(np.arange(Z.size).reshape(Z.shape) == Z.size // 2, np.nan, Z),
    "infinite": lambda Z: np.where(np.arange(Z.size).reshape(Z.shape) == 0, -np.inf, Z),
    "sparse": sparse.csr_matrix,
    "complex": lambda Z: Z + 1j,
}

FORMATS: dict[str, Callable[[np.ndarray], Any]] = {
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
    "csr array": sparse.csr_array,
    "csc array": sparse.csc_array,
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
}
DTYPES = ("float32", "float64", "int32", "int64", "uint8")


# --- what a call may do ----------------------------------------------------------------------------


def generators() -> tuple[Any, ...]:
    """State of the global random generators."""
    name, keys, *rest = np.random.get_state()
    return random.getstate(), name, keys.tobytes(), *rest, torch.get_rng_state().numpy().tobytes()


def digest(value: Any) -> str:
    """Checksum of anything that an AnnData holds, its type included."""
    if isinstance(value, pd.DataFrame):
        parts = [digest(value.index), *(digest(value.iloc[:, i]) for i in range(value.shape[1]))]
        return f"frame {list(value.columns)} {parts}"
    if isinstance(value, pd.Series):
        return f"series {value.dtype} {digest(value.array)} {digest(value.index)}"
    if isinstance(value, pd.Index):
        return f"index {value.name} {value.dtype} {digest(value.to_numpy())}"
    if isinstance(value, pd.Categorical):
        return f"{list(value.categories)} {value.ordered} {digest(value.codes)}"
    if sparse.issparse(value):
        arrays = [digest(getattr(value, part)) for part in ("data", "indices", "indptr")]
        return f"{type(value).__name__} {value.shape} {arrays}"
    if isinstance(value, Mapping):
        return str({key: digest(item) for key, item in value.items()})
    if isinstance(value, np.ndarray) and value.dtype != object:
        return (
            f"{value.dtype} {value.shape} {hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
        )
    if isinstance(value, pd.api.extensions.ExtensionArray):  # whose pickle has what pandas has looked up
        return f"{value.dtype} {digest(value.to_numpy(dtype=object))}"
    if isinstance(value, np.ndarray):  # objects: which of them are one in memory makes no difference
        return f"{value.shape} {[(type(item).__name__, item) for item in value.ravel()]}"
    return hashlib.sha256(pickle.dumps(value)).hexdigest()


def snapshot(adata: Any) -> dict[str, str]:
    """Checksum of each slot: "X", "obs/batch", "uns/distaff/params", ..."""
    found = {"X": digest(adata.X), "obs_names": digest(adata.obs_names), "var_names": digest(adata.var_names)}
    for slot in ("obs", "var"):
        table = getattr(adata, slot)
        found |= {f"{slot}/{name}": digest(table[name]) for name in table.columns}
    for slot in ("obsm", "varm", "layers", "obsp", "varp"):
        found |= {f"{slot}/{name}": digest(value) for name, value in getattr(adata, slot).items()}
    return found | _nested("uns", adata.uns)


def _nested(place: str, value: Mapping[str, Any]) -> dict[str, str]:
    found = {place: "mapping"}
    for name, item in value.items():
        here = f"{place}/{name}"
        found |= _nested(here, item) if isinstance(item, Mapping) else {here: digest(item)}
    return found


@contextmanager
def unchanged(adata: Any, *, but: Iterable[str] = ()) -> Iterator[None]:
    """Check that the generators stay, and of ``adata`` all but slots with these beginnings; all after an error."""
    before, states = snapshot(adata), generators()
    allowed = tuple(but)
    try:
        yield
    except Exception:
        allowed = ()
        raise
    finally:
        assert generators() == states, "a global random generator was used"
        after = snapshot(adata)
        moved = {name for name in before.keys() | after if before.get(name) != after.get(name)}
        wrong = {name for name in moved if not name.startswith(allowed)} if allowed else moved
        assert not wrong, f"changed: {sorted(wrong)}"


def documented(function: Callable[..., Any]) -> tuple[type[Exception], ...]:
    """Exceptions that the docstring of a public function names."""
    match = SECTION.search((inspect.getdoc(function) or "") + "\n")
    heads = re.findall(r"^(\w+)$", match[1], re.M) if match else []
    return tuple(ERRORS[name] for name in heads)


def outcome(
    call: Callable[[], Any], of: Callable[..., Any], *, also: tuple[type[Exception], ...] = ()
) -> Any:
    """Result of a call, or None after an error that the docstring of ``of`` names, in our own words.

    Warnings of ours are fine; those of numpy, pandas and others are errors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return call()
        except (*documented(of), *also) as problem:
            text = str(problem.args[0])
            assert ", got " in text, f"not in our style: {text}"
            assert "\n" not in text, f"more than a line: {text}"
            return None


def survives(adata: Any, folder: Any, *, but: Iterable[str]) -> None:
    """Check that the slots with these beginnings can be written to a file and read back."""
    allowed = tuple(but)
    parts: dict[str, Any] = {
        slot: {
            name: value
            for name, value in getattr(adata, slot).items()
            if f"{slot}/{name}".startswith(allowed)
        }
        for slot in ("obsm", "varm", "layers", "uns")
    }
    parts["uns"] = {name: value for name, value in adata.uns.items() if f"uns/{name}".startswith(allowed)}
    written = anndata.AnnData(
        obs=pd.DataFrame(index=adata.obs_names), var=pd.DataFrame(index=adata.var_names), **parts
    )
    written.write_h5ad(folder / "written.h5ad")
    back = anndata.read_h5ad(folder / "written.h5ad")
    for slot in parts:
        assert set(getattr(back, slot)) - {None} == set(parts[slot])
