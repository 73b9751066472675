// The sections that are tables: groups, gene sets, scores; and how to read all this.

function groupsSection() {
  if (!DATA.ranked) return h("div", { class: "section" }, h("h1", {}, "Groups that differ"), absent("Tests between groups are", "ranked"));
  const { factor, group, groups, effect, lower, upper, q: qs, bayes, n_rows: total, params, about } = DATA.ranked;
  const columns = [
    { title: "factor", value: (row) => FACTORS.names[factor[row]], cell: (row) => factorLink(factor[row]), kind: "name" },
    { title: "group", value: (row) => groups[group[row]] },
    { title: "effect", value: (row) => effect[row], cell: (row) => h("span", {}, effect[row] === null ? "" : arrow(effect[row]), fmt(effect[row])), numeric: true, descending: true, hint: TEXTS.hints.effect },
    { title: "95 % interval", value: (row) => lower[row], cell: (row) => (lower[row] === null ? "–" : `${fmt(lower[row])} to ${fmt(upper[row])}`), numeric: true },
    { title: "q", value: (row) => qs[row], cell: (row) => q(qs[row]), numeric: true, hint: TEXTS.hints.q },
    { title: "log Bayes factor", value: (row) => bayes[row], numeric: true, descending: true, hint: TEXTS.hints.bayes },
    { title: "top genes", value: (row) => topNames(factor[row], 4).join(", "), kind: "genelist" },
  ];
  const test = { paired: "paired by sample", welch: "Welch", none: "none: too few replicates" };
  return h("div", { class: "section" }, h("h1", {}, `Groups that differ: ${params.groupby}`), h("p", { class: "lead" }, `${contrastWords()} ${TEXTS.notes.ranked}`),
    h("ul", { class: "about" }, about.map((row) => h("li", {}, h("strong", {}, row.group), `: ${many(row.n_cells, "cell")} against ${whole(row.n_cells_reference)}`,
      row.n_samples ? `, ${many(row.n_samples, "sample")} against ${whole(row.n_samples_reference)}` : "", `; test: ${test[row.test] ?? row.test}`))),
    factor.length < total ? h("p", { class: "caption" }, `The ${whole(factor.length)} strongest of ${whole(total)} rows.`) : null,
    makeTable({ columns, rows: factor.map((_, row) => row), what: "test", caption: "Groups that differ" }));
}

function setsSection() {
  if (!DATA.enriched) return h("div", { class: "section" }, h("h1", {}, "Gene sets"), absent("Tests of gene sets are", "enriched"));
  const { factor, set, sets, statistic, q: qs, n_genes: sizes, n_tested: tested, n_shown: shown } = DATA.enriched;
  const rows = factor.map((_, row) => row).sort((a, b) => (qs[a] ?? 2) - (qs[b] ?? 2) || Math.abs(statistic[b]) - Math.abs(statistic[a]));
  const columns = [
    { title: "factor", value: (row) => FACTORS.names[factor[row]], cell: (row) => factorLink(factor[row]), kind: "name" },
    { title: "gene set", value: (row) => readable(sets[set[row]]), cell: (row) => h("span", {}, arrow(statistic[row]), readable(sets[set[row]])), kind: "set" },
    { title: DATA.enriched.called, value: (row) => statistic[row], numeric: true, descending: true, hint: TEXTS.hints.z },
    { title: "q", value: (row) => qs[row], cell: (row) => q(qs[row]), numeric: true, hint: TEXTS.hints.q },
    { title: "genes", value: (row) => sizes[row], numeric: true, descending: true },
  ];
  return h("div", { class: "section" }, h("h1", {}, "Gene sets"),
    h("p", { class: "lead" }, `${many(tested, "set")} tested in each factor; the ${shown} strongest of a factor are listed. ${TEXTS.notes.enriched}`),
    makeTable({ columns, rows, what: "test", caption: "Gene sets" }));
}

function scoreCards() {
  const { metrics, summary } = DATA.scores;
  return h("div", { class: "grid" }, Object.keys(metrics).map((metric) => {
    const own = summary[metric];
    return panel(metricText(metric, "label"), {}, h("p", { class: "question" }, metricText(metric, "question")),
      h("div", { class: "row summary" }, scoreTrack(own), h("span", { class: "value" }, fmt(own.score, 2))),
      own.noise === null ? null : h("p", { class: "caption" }, `noise ${fmt(own.noise, 2)}, ceiling ${fmt(own.ceiling, 2)}`),
      h("p", {}, metricText(metric, "read")), metricText(metric, "fooled") ? h("p", { class: "caption" }, `Fooled by: ${metricText(metric, "fooled")}`) : null);
  }));
}

function knownTable() {
  const { known, metrics } = DATA.scores;
  const rows = known.flatMap((_, k) => Object.entries(metrics).map(([metric, table]) => ({ metric, known: k, score: table.score[k], noise: table.noise[k], ceiling: table.ceiling[k], best: table.best[k] }))).filter((row) => row.score !== null);
  const columns = [
    { title: "known factor", value: (row) => known[row.known], kind: "name" },
    { title: "score", value: (row) => metricText(row.metric, "label") },
    { title: "value", value: (row) => row.score, cell: (row) => fmt(row.score, 2), numeric: true, descending: true },
    { title: "noise | ceiling", value: (row) => row.noise, cell: scoreTrack, kind: "tracked" },
    { title: "best factor", value: (row) => (row.best < 0 ? "" : FACTORS.names[row.best]), cell: (row) => (row.best < 0 ? "–" : factorLink(row.best)), kind: "name" },
  ];
  return makeTable({ columns, rows, what: "score" });
}

function scoresSection() {
  if (!DATA.scores) return h("div", { class: "section" }, h("h1", {}, "Scores"), h("p", { class: "lead" }, TEXTS.notes.scores), absent("Scores are", "scores"));
  const { latent } = DATA.scores;
  return h("div", { class: "section" }, h("h1", {}, "Scores"), h("p", { class: "lead" }, TEXTS.notes.scores),
    DATA.scores.own ? null : h("p", { class: "note" }, `These are scores of another representation, ${DATA.scores.use_rep}.`),
    h("h2", {}, "What is known, and the factor that tells it best"), knownTable(),
    Object.keys(latent).length ? [h("h2", {}, "Do factors repeat each other?"), h("p", { class: "lead" }, TEXTS.notes.latent), facts([
      ["mean correlation", fmt(latent.mean_correlation)], ["total correlation (nats)", fmt(latent.total_correlation)],
      ["effective dimensions", fmt(latent.effective_dimensions)], ["dimensions that vary", fmt(latent.n_varying)]])] : null,
    h("h2", {}, "What each score asks"), scoreCards());
}

const guideSection = () => h("div", { class: "section guide" }, h("h1", {}, "How to read this page"),
  TEXTS.guide.map(({ title, text }) => [h("h2", {}, title), text.map((line) => h("p", {}, line))]),
  h("p", { class: "caption" }, `Written by distaff ${DATA.version} from the slots of "${DATA.key}". One file; it loads nothing from any network.`));
