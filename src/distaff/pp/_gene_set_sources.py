"""Gene sets from a GMT file, a dict or a decoupler net, all as one table of weights."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from distaff._checks import check_number, error, listing

__all__ = ["GeneSets", "read_gene_sets"]

GZIP_MAGIC = b"\x1f\x8b"
SMALLEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass
class GeneSets:
    """Gene sets as their source gives them, each gene once.

    Parameters
    ----------
    source
        Where they are from.
    sha256
        Checksum of the file, or of the names and weights.
    weights
        Name of each set -> gene -> weight.
    n_duplicated
        Number of genes that were left out since their set named them already.
    """

    source: str
    sha256: str = ""
    weights: dict[str, dict[str, float]] = field(default_factory=dict)
    n_duplicated: int = 0

    def add(self, name: str, genes: Iterable[tuple[Any, float]], *, place: str) -> None:
        """Add a set; ``place`` tells where it stands."""
        found: dict[str, float] = {}
        for gene, weight in genes:
            if not isinstance(gene, str):
                got = f"{gene!r} ({type(gene).__name__})"
                raise error(f"Genes of {place} must be strings", got=got, kind=TypeError)
            if not gene:
                raise error(f"Genes of {place} must have names", got="an empty name")
            if found.setdefault(gene, weight) != weight:
                got = f"{found[gene]:g} and {weight:g} for gene {gene!r}"
                raise error(f"A gene of {place} must have one weight", got=got)
            self.n_duplicated += 1
        self.n_duplicated -= len(found)
        if not found:
            raise error(f"{place} must have genes", got="none", fix="Remove the empty gene set.")
        self.weights[name] = found


def read_gene_sets(source: Any) -> GeneSets:
    """Read any source of gene sets."""
    if isinstance(source, str | Path):
        return _read_gmt(Path(source))
    if isinstance(source, pd.DataFrame):
        sets = _read_net(source)
    elif isinstance(source, Mapping):
        sets = _read_mapping(source)
    else:
        raise error(
            "source must be the path of a GMT file, a dict or a decoupler net (DataFrame)",
            got=type(source).__name__,
            kind=TypeError,
        )
    if not sets.weights:
        raise error("source must hold gene sets", got=f"an empty {sets.source}")
    canonical = json.dumps(sets.weights, sort_keys=True)
    sets.sha256 = hashlib.sha256(canonical.encode()).hexdigest()
    return sets


# --- GMT ------------------------------------------------------------------------------------------


def _read_gmt(path: Path) -> GeneSets:
    if not path.is_file():
        raise error(
            "source must be the path of a GMT file",
            got=f"{str(path)!r}, {'a folder' if path.is_dir() else 'which does not exist'}",
            kind=FileNotFoundError,
        )
    data = path.read_bytes()
    sets = GeneSets(str(path), hashlib.sha256(data).hexdigest())
    lines_of: dict[str, int] = {}
    for number, line in enumerate(_text(data, path).split("\n"), start=1):
        if not line.strip():
            continue
        name, genes = _parse_line(line, place=f"{path}:{number}")
        if name in lines_of:
            raise error(
                f"{path}:{number} must have a name of its own", got=f"{name!r}, as in line {lines_of[name]}"
            )
        lines_of[name] = number
        sets.add(name, ((gene, 1.0) for gene in genes), place=f"{path}:{number}")
    if not sets.weights:
        raise error("source must hold gene sets", got=f"the empty file {str(path)!r}")
    return sets


def _text(data: bytes, path: Path) -> str:
    """Text of a file, unzipped if need be, with one kind of line end and no byte-order mark."""
    if data.startswith(GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as reason:
            raise error(f"{path} must be a whole gzip file", got=f"{reason}") from reason
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        line = data[: reason.start].count(b"\n") + 1
        got = f"the byte 0x{data[reason.start]:02x}"
        raise error(f"{path}:{line} must be UTF-8 text", got=got) from reason
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise error(f"{path}:{line} must be UTF-8 text", got="a zero byte")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parse_line(line: str, *, place: str) -> tuple[str, list[str]]:
    """Name and genes; the second column is a description or an address, never a gene."""
    columns = [column.strip() for column in line.split("\t")]
    genes = [gene for gene in columns[2:] if gene]
    if columns[0] and genes:
        return columns[0], genes
    missing = "no genes" if columns[0] else "no name"
    raise error(
        f"{place} must hold a name, a description and genes, separated by tabs",
        got=f"{missing} in {line[:60]!r}" if "\t" in line else f"a line without tabs, {line[:60]!r}",
        fix="Spaces do not separate columns." if "\t" not in line and " " in line.strip() else "",
    )


# --- dict and net ---------------------------------------------------------------------------------


def _read_mapping(source: Mapping[Any, Any]) -> GeneSets:
    sets = GeneSets("dict")
    for name, genes in source.items():
        place = _check_name(name)
        if isinstance(genes, Mapping):
            pairs = [(gene, _check_weight(weight, gene, place)) for gene, weight in genes.items()]
        elif isinstance(genes, str) or not isinstance(genes, Iterable):
            raise error(
                f"{place} must be a list of genes, or a dict of weights", got=repr(genes), kind=TypeError
            )
        else:
            pairs = [(gene, 1.0) for gene in genes]
        sets.add(name, pairs, place=place)
    return sets


def _read_net(net: pd.DataFrame) -> GeneSets:
    missing = [column for column in ("source", "target") if column not in net.columns]
    if missing:
        raise error(
            "A decoupler net must have the columns 'source' and 'target'",
            got=f"the columns {listing(net.columns)}",
        )
    weights = net["weight"] if "weight" in net.columns else np.ones(len(net))
    pairs: dict[Any, list[tuple[Any, Any]]] = {}
    for name, gene, weight in zip(net["source"], net["target"], weights, strict=True):
        pairs.setdefault(name, []).append((gene, weight))
    sets = GeneSets("net")
    for name, targets in pairs.items():
        place = _check_name(name)
        checked = [(gene, _check_weight(weight, gene, place)) for gene, weight in targets]
        sets.add(name, checked, place=place)
    return sets


def _check_name(name: Any) -> str:
    """Check the name of a set and return how messages call it."""
    if not isinstance(name, str):
        got = f"{name!r} ({type(name).__name__})"
        raise error("Names of gene sets must be strings", got=got, kind=TypeError)
    if not name.strip() or "\0" in name:
        raise error("Names of gene sets must be text", got=repr(name))
    return f"gene set {name!r}"


def _check_weight(weight: Any, gene: Any, place: str) -> float:
    subject = f"The weight of gene {gene!r} in {place}"
    weight = check_number(subject, weight)
    if not SMALLEST <= abs(weight) <= LARGEST:
        raise error(f"{subject} must be a float32 other than 0", got=f"{weight:g}")
    return weight
