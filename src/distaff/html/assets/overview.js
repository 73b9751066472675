// The first section: what was measured, fitted and found.

const active = () => (FACTORS.active ? `${whole(N_ACTIVE)} of ${whole(N_FACTORS)}` : "not known");

const ofGenes = () => (DATA.n_modelled < DATA.n_genes ? `of ${whole(DATA.n_genes)} genes modelled` : "genes");

const cards = () => h("dl", { class: "cards" }, [
  ["cells", whole(DATA.n_cells)], [ofGenes(), whole(DATA.n_modelled)], ["factors", whole(N_FACTORS)],
  ["active", active()], ...(DATA.enriched ? [["with gene sets", whole(DATA.enriched.n_significant.filter(Boolean).length)]] : []),
  ...(DATA.ranked ? [["that differ by " + DATA.ranked.params.groupby, whole(RANKED.filter((rows) => rows.some((row) => DATA.ranked.q[row] < 0.05)).length)]] : []),
].map(([term, value]) => h("div", {}, h("dd", {}, value), h("dt", {}, term))));

/** Factors with what is known of each; columns that say nothing are left out. */
function factorTable() {
  const columns = [
    FACTORS.rank && { title: "rank", value: (i) => measure("rank", i), numeric: true, hint: TEXTS.hints.rank },
    { title: "factor", value: (i) => FACTORS.names[i], cell: factorLink, kind: "name" },
    FACTORS.kind && new Set(FACTORS.kind).size > 1 && { title: "kind", value: (i) => measure("kind", i), hint: TEXTS.hints.kind },
    FACTORS.active && N_ACTIVE < N_FACTORS && { title: "active", value: (i) => (isActive(i) ? "yes" : "no"), hint: TEXTS.hints.active },
    FACTORS.variance_explained && { title: "variance", value: (i) => measure("variance_explained", i), cell: (i) => percent(measure("variance_explained", i)), numeric: true, descending: true, hint: TEXTS.hints.variance_explained },
    FACTORS.kl?.some((value) => value !== null) && { title: "KL", value: (i) => measure("kl", i), numeric: true, descending: true, hint: TEXTS.hints.kl },
    DATA.genes && { title: "top genes", value: (i) => topNames(i, 5).join(", "), kind: "genelist" },
    DATA.enriched && { title: "best gene set", value: (i) => setName(bestSet(i)), cell: (i) => setCell(bestSet(i)), kind: "set", hint: TEXTS.hints.best_set },
    DATA.ranked && { title: `differs most by ${DATA.ranked.params.groupby}`, value: (i) => groupName(bestGroup(i)), cell: (i) => groupCell(bestGroup(i)) },
    DATA.ranked && { title: "q", value: (i) => (bestGroup(i) === null ? null : DATA.ranked.q[bestGroup(i)]), cell: (i) => q(bestGroup(i) === null ? null : DATA.ranked.q[bestGroup(i)]), numeric: true, hint: TEXTS.hints.q },
  ].filter(Boolean);
  return makeTable({ columns, rows: FACTORS.order, what: "factor", sort: FACTORS.rank ? [0, false] : null });
}

const setName = (row) => (row === null ? "" : readable(DATA.enriched.sets[DATA.enriched.set[row]]));
const readable = (name) => name.replaceAll("_", " ");
const arrow = (value) => h("span", { class: value < 0 ? "arrow down" : "arrow", title: value < 0 ? "goes down with the factor" : "goes up with the factor" }, value < 0 ? "↓ " : "↑ ");
const setCell = (row) => (row === null ? "–" : h("span", { class: DATA.enriched.q[row] < 0.05 ? "" : "dim" }, arrow(DATA.enriched.statistic[row]), setName(row)));
const groupName = (row) => (row === null ? "" : DATA.ranked.groups[DATA.ranked.group[row]]);
const groupCell = (row) => (row === null ? "–" : h("span", {}, DATA.ranked.effect[row] === null ? "" : arrow(DATA.ranked.effect[row]), groupName(row)));

function modelPanel() {
  if (!DATA.run) return panel("Model", {}, absent("What was run is", "run"));
  const rows = [...DATA.run.params, ...DATA.run.versions.map(([name, value]) => [name.replace(/_version$/, "").replace("_", "-"), value])];
  return panel(DATA.run.model || "Model", {}, h("div", { class: "scroll short", tabindex: "0", role: "region", "aria-label": "Parameters" },
    h("table", { class: "plain" }, h("tbody", {}, rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, breakable(name)), h("td", {}, value)))))));
}

function overviewSection() {
  const share = FACTORS.variance_explained && FACTORS.variance_explained.some((value) => value > 0);
  return h("div", { class: "section" }, h("h1", {}, `${DATA.title}: ${many(N_FACTORS, "factor")} of ${many(DATA.n_cells, "cell")}`), cards(),
    h("div", { class: "grid" },
      panel("Cells", { note: cellsNote() }, cellPlot(null), DATA.groups.length ? null : absent("Groups of cells are", "groups")),
      panel("Variance explained", { note: share ? `${TEXTS.notes.variance} ${N_FACTORS > MAX_BARS ? `The first ${MAX_BARS} ranks. ` : ""}A click opens the factor.` : null },
        share ? varianceChart() : absent("Ranks are", "factors")),
      modelPanel()),
    panel("Training", {}, DATA.curves.length ? h("div", { class: "curves" }, DATA.curves.map(curveChart)) : absent("Training curves are", "run")),
    h("h2", {}, "All factors"), factorTable());
}
