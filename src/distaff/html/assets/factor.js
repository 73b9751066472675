// The factor browser: a list to choose from, and all that is known of the one chosen.

const SHOWN_GENES = 12; // on either side

function genePanel(i) {
  if (!DATA.genes) return panel("Top genes", {}, absent("Gene effects are", "loadings", "traversal"));
  const { source, names, up, down } = DATA.genes;
  const top = Math.max(0, ...up[i][1].slice(0, 1).map(Math.abs), ...down[i][1].slice(0, 1).map(Math.abs));
  const sides = [["up", "go up", up[i]], ["down", "go down", down[i]]].filter(([, , [places]]) => places.length);
  const n = sides.length > 1 ? SHOWN_GENES : 20;
  return panel("Top genes", { note: TEXTS.notes[source] },
    sides.length ? h("div", { class: "sides" }, sides.map(([side, words, [places, values]]) => h("div", {}, h("h4", {}, words),
      geneBars(places.slice(0, n).map((gene) => names[gene]), values.slice(0, n), top, side)))) : h("p", { class: "none" }, "No gene has a loading."));
}

function setsPanel(i) {
  if (!DATA.enriched) return panel("Gene sets", {}, absent("Tests of gene sets are", "enriched"));
  const rows = ENRICHED[i];
  if (!rows.length) return panel("Gene sets", {}, h("p", { class: "none" }, "Not tested: inactive, or no difference between genes."));
  const { statistic, q: qs, n_genes: sizes, n_significant: found, n_tested: tested } = DATA.enriched;
  return panel("Gene sets", { note: `${whole(found[i])} of ${whole(tested)} sets with q < 0.05; the ${rows.length} strongest are shown. ${TEXTS.notes.enriched}` },
    h("table", { class: "plain sets" }, h("thead", {}, h("tr", {}, ["set", DATA.enriched.called, "q", "genes"].map((title, k) => h("th", { scope: "col", class: k ? "num" : "" }, title)))),
      h("tbody", {}, rows.map((row) => h("tr", { class: qs[row] < 0.05 ? "" : "dim" }, h("td", {}, arrow(statistic[row]), setName(row)),
        h("td", { class: "num" }, fmt(statistic[row])), h("td", { class: "num" }, q(qs[row])), h("td", { class: "num" }, whole(sizes[row])))))));
}

function distributionPanel(i) {
  if (!DATA.groups.length) return panel("Values by group", {}, absent("Groups of cells are", "groups"));
  const chosen = clamp(distributionPanel.group ?? 0, 0, DATA.groups.length - 1);
  const slot = h("div");
  const show = (k) => {
    const group = DATA.groups[k];
    const left = [group.n_classes > group.classes.length ? `The ${group.classes.length} largest of ${whole(group.n_classes)} groups. ` : "", group.n_missing ? `${many(group.n_missing, "cell")} without a group. ` : ""].join("");
    slot.replaceChildren(boxes(group, group.quantiles[i]), h("p", { class: "caption" }, `${left}${TEXTS.notes.boxes}`));
  };
  const select = h("select", { "aria-label": "Groups", onchange: () => { distributionPanel.group = Number(select.value); show(distributionPanel.group); } },
    DATA.groups.map((group, k) => h("option", { value: k, selected: k === chosen }, group.name)));
  show(chosen);
  return panel("Values by group", {}, DATA.groups.length > 1 ? h("label", { class: "colorby" }, "Groups ", select) : h("p", { class: "caption" }, DATA.groups[0].name), slot);
}

const MAX_CONTRASTS = 20;

function contrastPanel(i) {
  if (!DATA.ranked) return panel("Groups that differ", {}, absent("Tests between groups are", "ranked"));
  const { params, groups, group, effect, lower, upper, q: qs } = DATA.ranked;
  const rows = RANKED[i].filter((row) => effect[row] !== null);
  const title = `Groups that differ: ${params.groupby}`;
  if (!rows.length) return panel(title, {}, h("p", { class: "none" }, "Not tested: inactive, the same in all cells, or too few replicates."));
  return panel(title, { note: `${contrastWords()} ${rows.length > MAX_CONTRASTS ? `The ${MAX_CONTRASTS} strongest of ${rows.length}. ` : ""}${TEXTS.notes.ranked}` },
    forest(rows.slice(0, MAX_CONTRASTS).map((row) => ({ label: groups[group[row]], effect: effect[row], lower: lower[row], upper: upper[row], q: qs[row] }))));
}

const contrastWords = () => {
  const { reference, sample_key: sample } = DATA.ranked.params;
  const against = reference === "rest" ? "Each group against all other cells" : `Each group against ${reference}`;
  return `${against}; ${sample ? `replicates are samples (${sample}).` : "replicates are cells, so that q holds for these samples only."}`;
};

function knownPanel(i) {
  if (!DATA.scores) return panel("What it stands for", {}, absent("Scores are", "scores"));
  if (!DATA.scores.own) return panel("What it stands for", {}, h("p", { class: "none" }, `The stored scores are of another representation, ${DATA.scores.use_rep}.`));
  const rows = Object.entries(DATA.scores.metrics).flatMap(([metric, { score, noise, ceiling, best }]) =>
    best.map((place, k) => ({ place, metric, known: DATA.scores.known[k], score: score[k], noise: noise[k], ceiling: ceiling[k] })))
    .filter((row) => row.place === i && row.score !== null);
  if (!rows.length) return panel("What it stands for", {}, h("p", { class: "none" }, "No known factor has this as its best dimension."));
  const known = [...new Set(rows.map((row) => row.known))];
  return panel("What it stands for", { note: TEXTS.notes.known }, known.map((name) => h("div", { class: "known" }, h("h4", {}, name),
    h("div", { class: "rows" }, rows.filter((row) => row.known === name).map((row) => h("div", { class: "row", title: metricText(row.metric, "question") },
      h("span", { class: "label" }, metricText(row.metric, "label")), scoreTrack(row), h("span", { class: "value" }, fmt(row.score, 2))))))));
}

const metricText = (metric, part) => TEXTS.metrics[metric]?.[part] ?? (part === "label" ? metric : "");

function factorArticle(i, step) {
  const turned = measure("direction", i) === -1;
  const chips = [FACTORS.rank && `rank ${measure("rank", i)} of ${whole(N_FACTORS)}`, measure("kind", i), FACTORS.active && (isActive(i) ? "active" : "inactive"), turned && "turned"].filter(Boolean);
  return h("article", { class: "factor", "aria-live": "polite", "aria-label": FACTORS.names[i] },
    h("div", { class: "title" }, h("h1", {}, breakable(FACTORS.names[i])),
      h("div", { class: "steps" }, h("button", { type: "button", title: "Previous factor (←)", "aria-label": "Previous factor", onclick: () => step(-1) }, "←"),
        h("button", { type: "button", title: "Next factor (→)", "aria-label": "Next factor", onclick: () => step(1) }, "→"))),
    h("ul", { class: "chips" }, chips.map((chip) => h("li", { title: TEXTS.hints[chip] }, chip))),
    FACTORS.rank ? facts([
      ["variance explained", percent(measure("variance_explained", i)), TEXTS.hints.variance_explained],
      measure("kl", i) !== null && ["KL (nats a cell)", fmt(measure("kl", i)), TEXTS.hints.kl],
      FACTORS.l2_norm && ["norm of the loadings", fmt(measure("l2_norm", i)), TEXTS.hints.l2_norm],
      FACTORS.n_genes && ["genes with a loading", whole(measure("n_genes", i)), TEXTS.hints.n_genes],
      FACTORS.direction && ["direction", turned ? "turned (× −1)" : "as trained", TEXTS.hints.turned]]) : absent("Rank, variance and direction are", "factors"),
    h("div", { class: "spread" },
      h("div", {}, panel("Cells", { note: cellsNote() }, cellPlot(i)), distributionPanel(i), contrastPanel(i)),
      h("div", { class: "pair" }, h("div", {}, genePanel(i), knownPanel(i)), h("div", {}, setsPanel(i)))));
}

/** List and article; `show(i)` changes both without building the list again. */
function browserSection() {
  const search = h("input", { type: "search", class: "search", placeholder: "Search names and genes", "aria-label": "Search factors", oninput: () => filter(), onkeydown: fromSearch });
  const list = h("ul", { class: "list", role: "listbox", tabindex: "0", "aria-label": "Factors", onkeydown: inList });
  const count = h("span", { class: "count", role: "status" });
  const holder = h("div", { class: "holder" });
  const top = Math.max(1e-9, ...(FACTORS.variance_explained ?? [1]));
  const items = new Map(FACTORS.order.map((i) => [i, h("li", { role: "option", id: `option-${i}`, "aria-selected": "false", class: isActive(i) ? "" : "dim", onclick: () => go(i) },
    h("span", { class: "name", title: FACTORS.names[i] }, breakable(FACTORS.names[i])), h("span", { class: "sub" }, topNames(i, 4).join(", ") || (isActive(i) ? "" : "inactive")),
    FACTORS.variance_explained ? mark("share", 0, measure("variance_explained", i) / top) : null)]));
  const texts = new Map(FACTORS.order.map((i) => [i, `${FACTORS.names[i]}\n${topNames(i, 20).join("\n")}`.toLowerCase()]));
  const state = { visible: FACTORS.order, current: null };
  const box = h("details", { class: "chooser" }, h("summary", {}, `All ${many(N_FACTORS, "factor")}`), h("div", { class: "tools" }, search, count), list,
    h("p", { class: "caption keys" }, h("kbd", {}, "←"), h("kbd", {}, "→"), " step, ", h("kbd", {}, "/"), " searches"));
  const wide = window.matchMedia("(min-width: 820px)");
  const fold = () => { box.open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();

  function go(i, replace = false) {
    if (replace) window.location.replace(hashOf(i));
    else window.location.hash = hashOf(i);
    if (!wide.matches) box.open = false;
  }

  function filter() {
    const typed = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    state.visible = FACTORS.order.filter((i) => typed.every((word) => texts.get(i).includes(word)));
    list.replaceChildren(...state.visible.map((i) => items.get(i)));
    count.textContent = state.visible.length === N_FACTORS ? "" : `${state.visible.length} of ${N_FACTORS}`;
    if (!state.visible.length) list.append(h("li", { class: "none" }, "Nothing matches."));
  }

  /** The factor so many places further among those that match the search. */
  function step(by) {
    const { visible, current } = state;
    if (!visible.length) return;
    const place = visible.indexOf(current);
    go(visible[place < 0 ? 0 : clamp(place + by, 0, visible.length - 1)], true);
  }

  function inList(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -N_FACTORS, End: N_FACTORS }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    step(by);
  }

  function fromSearch(event) {
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      if (state.visible.length && !state.visible.includes(state.current)) go(state.visible[0]);
      list.focus();
    } else if (event.key === "Escape") { search.value = ""; filter(); }
  }

  function show(i) {
    items.get(state.current)?.setAttribute("aria-selected", "false");
    state.current = i;
    const item = items.get(i);
    item.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", item.id);
    holder.replaceChildren(factorArticle(i, step));
    // within the list only: the page itself must not jump
    if (item.isConnected) list.scrollTop = clamp(list.scrollTop, item.offsetTop + item.offsetHeight - list.clientHeight, item.offsetTop);
  }

  filter();
  return { element: h("div", { class: "section browser" }, box, holder), show, step, search, open: () => { box.open = true; } };
}
