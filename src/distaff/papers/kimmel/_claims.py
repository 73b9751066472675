"""What the paper says, and what we found: it gives no numbers in its text but those of its settings."""

from __future__ import annotations

import pandas as pd

from distaff.papers._table import Claim
from distaff.papers._trials import Outcome
from distaff.papers.kimmel._runs import by_program, by_type, compared, p_value, runs
from distaff.papers.kimmel._work import BLOOD, SIMULATION

__all__ = ["claims"]

LEVEL = 0.05
STRONG = 0.6  # of at most .866, which a binary factor that splits the cells in half allows
MODEST = 0.15


def claims(outcome: Outcome) -> list[Claim]:
    """The statements of the paper, those on simulated cells first."""
    return [*_on_programs(outcome), *_on_blood(outcome)]


def _on_programs(outcome: Outcome) -> list[Claim]:
    wide, whole = by_program(outcome, SIMULATION), runs(outcome, SIMULATION)
    programs = [name for name in wide if name not in whole]
    plain, held = (_means(wide, capacity, programs) for capacity in (0, 10))
    tests = compared(wide, programs)
    return [
        _beta_10(tests, whole),
        _beta_50(plain),
        _capacity_helps(whole),
        _capacity_costs(plain, held),
        *_specific(whole),
    ]


def _means(wide: pd.DataFrame, capacity: int, names: list[str]) -> pd.DataFrame:
    """Means (betas, names) of one capacity."""
    return wide[wide["capacity"] == capacity].groupby("beta")[names].mean()


def _at(whole: pd.DataFrame, score: str, beta: int, capacity: int = 0) -> pd.Series:
    return whole.loc[(whole["beta"] == beta) & (whole["capacity"] == capacity), score].astype(float)


def _higher(one: pd.Series, two: pd.Series) -> bool | None:
    """Whether ``two`` is higher beyond chance; None with fewer than two runs of either."""
    if min(len(one), len(two)) < 2:
        return None
    return bool(two.mean() > one.mean() and p_value(one, two) < LEVEL)


def _change(one: pd.Series, two: pd.Series) -> str:
    return f"{one.mean():.3f} to {two.mean():.3f} (p = {p_value(one, two):.2g})"


def _beta_10(tests: pd.DataFrame, whole: pd.DataFrame) -> Claim:
    part = tests[(tests["capacity"] == 0) & (tests["beta"] == 10)]
    up = int(((part["difference"] > 0) & (part["q"] < LEVEL)).sum())
    one, ten = _at(whole, "spearman", 1), _at(whole, "spearman", 10)
    return Claim(
        "2.2, Fig. 1C",
        "beta = 10 raises the correlation of programs with a dimension",
        "up, q < 0.05",
        f"{up} of {len(part)} programs up with q < 0.05; mean {_change(one, ten)}",
        bool(up and ten.mean() > one.mean()) if len(part) else None,
        "a program is up with q < 0.05, and so is the mean",
        "four starts hardly give one program of 30 tests a q < 0.05; the paper had ten",
    )


def _beta_50(plain: pd.DataFrame) -> Claim:
    there = {1, 10, 50} <= set(plain.index)
    below = {beta: int((plain.loc[50] < plain.loc[beta]).sum()) if there else 0 for beta in (1, 10)}
    return Claim(
        "2.2",
        "beta = 50 is worse for some programs",
        "down",
        f"{below[10]} of {plain.shape[1]} programs below beta = 10, {below[1]} below beta = 1",
        below[10] > 0 if there else None,
        "a program is below beta = 10",
    )


def _capacity_helps(whole: pd.DataFrame) -> Claim:
    without, held = _at(whole, "spearman", 50), _at(whole, "spearman", 50, 10)
    return Claim(
        "2.2, Fig. 1C",
        "C = 10 makes up for what beta = 50 loses",
        "up",
        f"mean at beta = 50, C = 0 to C = 10: {_change(without, held)}",
        _higher(without, held),
        "the mean is higher with p < 0.05",
    )


def _capacity_costs(plain: pd.DataFrame, held: pd.DataFrame) -> Claim:
    loss = plain.max() - held.max()
    lost = loss[loss > 0]
    return Claim(
        "2.2, Fig. 1C",
        "with C = 10 the best correlation of some programs is lower",
        "down",
        f"{len(lost)} of {len(loss)} programs, by {lost.mean():.3f} on average" if len(lost) else "none",
        len(lost) > 0 if loss.notna().any() else None,
        "the best mean over beta of a program is lower",
    )


def _specific(whole: pd.DataFrame) -> list[Claim]:
    found = [[_at(whole, name, beta) for beta in (1, 10)] for name in ("accuracy", "specificity")]
    return [
        Claim(
            "2.2, Fig. 1D",
            "at beta = 10 dimensions mark cell identities, at beta = 1 they do not",
            "up, by eye",
            f"accuracy of the best dimension for a cell type: {_change(*found[0])}",
            _higher(*found[0]),
            "the mean is higher with p < 0.05",
        ),
        Claim(
            "2.2, Fig. 1D",
            "at beta = 10 dimensions follow one program only, at beta = 1 they do not",
            "up, by eye",
            f"correlation with the program less that with the next one: {_change(*found[1])}",
            _higher(*found[1]),
            "the gap is wider with p < 0.05",
            "dimensions follow an identity and the identities that exclude it alike",
        ),
    ]


def _on_blood(outcome: Outcome) -> list[Claim]:
    whole, wide = runs(outcome, BLOOD), by_type(outcome, BLOOD)
    types = [name for name in wide if name not in whole]
    means = whole.groupby("beta")[["spearman", "ari", "accuracy"]].mean()
    complete = {1} < set(means.index)
    best = int(means["accuracy"].drop(1).idxmax()) if complete else 1
    parts = (whole, means, best, complete)
    return [
        *_condition(*parts),
        _clusters(whole, means, complete=complete),
        *_types(_means(wide, 0, types), best, complete=complete),
        _trade(*parts),
    ]


def _condition(whole: pd.DataFrame, means: pd.DataFrame, _best: int, complete: bool) -> list[Claim]:  # noqa: FBT001
    top = int(means["spearman"].drop(1).idxmax()) if complete else 1
    one, other = _at(whole, "spearman", 1), _at(whole, "spearman", top)
    gain = other.mean() - one.mean()
    return [
        Claim(
            "2.3, Fig. 2B",
            "beta = 1 already has a dimension for the condition",
            "strong correlation",
            float(one.mean()),
            bool(one.mean() >= STRONG) if len(one) else None,
            f"at least {STRONG} (at most 0.866 is possible)",
        ),
        Claim(
            "2.3, Fig. 2B",
            "larger beta improves it modestly",
            "up, modestly",
            f"best at beta = {top}: {_change(one, other)}",
            bool(0 < gain < MODEST and p_value(one, other) < LEVEL) if complete else None,
            f"up by less than {MODEST} with p < 0.05 at the best beta",
            "starts differ more than values of beta",
        ),
    ]


def _clusters(whole: pd.DataFrame, means: pd.DataFrame, *, complete: bool) -> Claim:
    varied = whole["ari"].nunique() > 1 and complete
    rho = float(whole["beta"].corr(whole["ari"].astype(float), method="spearman")) if varied else 0.0
    by_beta = ", ".join(f"{beta}: {ari:.2f}" for beta, ari in means["ari"].items())
    return Claim(
        "2.3, Fig. 2C",
        "clusters agree less with cell types as beta grows",
        "down",
        f"ARI by beta {by_beta}; rank correlation of ARI with beta {rho:.2f}",
        bool(rho < 0 and means["ari"].iloc[-1] < means["ari"].iloc[0]) if complete else None,
        "ARI falls with beta: rank correlation below 0, and the last mean below the first",
    )


def _types(means: pd.DataFrame, best: int, *, complete: bool) -> list[Claim]:
    gain = means.loc[best] - means.loc[1] if complete else pd.Series(dtype=float)
    cd4 = [name for name in means if "CD4" in name]
    low = (means[cd4[0]].drop(1) - means.loc[1, cd4[0]]).min() if cd4 and complete else float("nan")
    return [
        Claim(
            "2.3, Fig. 2D",
            "larger beta tells most cell types better by one dimension",
            "most",
            f"{int((gain > 0).sum())} of {len(gain)} types at beta = {best}, {gain.mean():+.3f} on average",
            bool((gain > 0).mean() > 0.5) if complete else None,
            "more than half of the types are up at the beta that is best over all types",
        ),
        Claim(
            "2.3, Fig. 2D",
            "CD4 T cells are told worse at some beta",
            "down",
            f"largest change {low:+.3f}",
            bool(low < 0) if complete and cd4 else None,
            "the mean of a beta above 1 is below that of beta = 1",
        ),
    ]


def _trade(whole: pd.DataFrame, means: pd.DataFrame, best: int, complete: bool) -> Claim:  # noqa: FBT001
    change = {name: _change(_at(whole, name, 1), _at(whole, name, best)) for name in ("accuracy", "ari")}
    better, worse = (means.loc[best, name] - means.loc[1, name] if complete else 0.0 for name in change)
    return Claim(
        "abstract, blog post",
        "the price of a better match is worse clustering",
        "trade-off",
        f"beta = 1 to {best}: accuracy {change['accuracy']}, ARI {change['ari']}",
        bool(better > 0 > worse) if complete else None,
        "at the beta that is best for cell types, accuracy is up and ARI down",
        "clusters get worse only where dimensions fall out of use, and single dimensions then too",
    )
