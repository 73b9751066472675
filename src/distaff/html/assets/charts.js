// Bars, boxes, intervals and curves.

/** Genes with their values as bars from the left. */
function geneBars(genes, values, top, side) {
  return h("ol", { class: `genes ${side}` }, genes.map((gene, i) =>
    h("li", { class: "row" }, h("span", { class: "gene", title: gene }, gene),
      h("span", { class: "track" }, mark("bar", 0, Math.abs(values[i]) / top)),
      h("span", { class: "value" }, fmt(values[i], 2)))));
}

/** Five quantiles of each class on one axis. */
function boxes(group, flat) {
  const n = group.classes.length;
  const of = (k) => flat.slice(5 * k, 5 * k + 5);
  const axis = niceAxis(Math.min(0, ...flat), Math.max(0, ...flat));
  const at = scaler(axis.low, axis.high);
  const colors = classColors(n);
  const rows = group.classes.map((name, k) => {
    const [low, first, middle, third, high] = of(k);
    const words = `${name}: median ${fmt(middle)}, middle half ${fmt(first)} to ${fmt(third)}, 90 % ${fmt(low)} to ${fmt(high)}`;
    return h("div", { class: "row", title: words }, h("span", { class: "label" }, name),
      h("span", { class: "track", role: "img", "aria-label": words }, mark("zero", at(0)), mark("whisker", at(low), at(high)),
        fillColor(mark("box", at(first), at(third)), colors[k]), mark("median", at(middle))),
      h("span", { class: "value" }, whole(group.counts[k])));
  });
  return h("div", { class: "rows boxes" }, rows, axisRow(axis));
}

function fillColor(element, color) {
  element.style.setProperty("background-color", color);
  return element;
}

/** Effects with their intervals: rows of {label, effect, lower, upper, q}. */
function forest(rows) {
  const ends = rows.flatMap((row) => [row.lower, row.upper, row.effect]).filter((value) => value !== null);
  const axis = niceAxis(Math.min(0, ...ends), Math.max(0, ...ends));
  const at = scaler(axis.low, axis.high);
  return h("div", { class: "rows forest" },
    h("div", { class: "row head" }, h("span", {}, "group"), h("span", {}, "effect, 95 % interval"), h("span", {}, "q")),
    rows.map((row) => {
      const words = `${row.label}: effect ${fmt(row.effect)} (${fmt(row.lower)} to ${fmt(row.upper)}), q ${fmt(row.q, 2)}`;
      return h("div", { class: row.q !== null && row.q < 0.05 ? "row sure" : "row", title: words },
        h("span", { class: "label" }, row.label),
        h("span", { class: "track", role: "img", "aria-label": words }, mark("zero", at(0)),
          row.lower === null ? null : mark("interval", at(row.lower), at(row.upper)),
          row.effect === null ? null : mark(row.effect < 0 ? "dot below" : "dot", at(row.effect))),
        h("span", { class: "value" }, q(row.q)));
    }), axisRow(axis));
}

/** Score with the marks of chance and of the best possible. */
function scoreTrack({ score, noise, ceiling }) {
  const words = `score ${fmt(score)}, noise ${fmt(noise)}, ceiling ${fmt(ceiling)}`;
  return h("span", { class: "track score", role: "img", "aria-label": words, title: words },
    score === null ? null : mark("bar", 0, score), noise === null ? null : mark("noise", noise),
    ceiling === null ? null : mark("ceiling", ceiling));
}

const CHART = { width: 300, height: 170, left: 46, right: 8, top: 10, bottom: 30 };

/** Curves over epochs; the first 5 % may leave the chart, since they dwarf the rest. */
function curveChart({ title, unit, lines }) {
  const { width, height, left, right, top, bottom } = CHART;
  const xs = lines.flatMap((line) => line.x);
  const [first, last] = [Math.min(...xs), Math.max(...xs)];
  const later = lines.flatMap((line) => line.y.filter((_, i) => line.x[i] >= first + 0.05 * (last - first)));
  const axis = niceAxis(title === "active units" ? 0 : Math.min(...later), Math.max(...later));
  const x = (value) => left + scaler(first, last)(value) * (width - left - right);
  const y = (value) => height - bottom - clamp(scaler(axis.low, axis.high)(value), 0, 1.04) * (height - top - bottom);
  const path = (line) => line.x.map((value, i) => `${i ? "L" : "M"}${x(value).toFixed(1)} ${y(line.y[i]).toFixed(1)}`).join("");
  return h("figure", { class: "curve" },
    h("figcaption", {}, `${title} (${unit})`,
      h("span", { class: "key" }, lines.map((line) => h("span", { class: line.name }, line.name)))),
    svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title} over epochs, last ${lines.map((l) => `${l.name} ${fmt(l.y.at(-1))}`).join(", ")}` },
      axis.ticks.map((tick) => [
        svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
        svg("text", { x: left - 5, y: y(tick) + 3.5, "text-anchor": "end" }, fmt(tick))]).flat(),
      [first, last].map((value, i) => svg("text", { x: x(value), y: height - bottom + 14, "text-anchor": i ? "end" : "start" }, fmt(value))),
      svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "epoch"),
      lines.map((line) => svg("path", { class: `line ${line.name}`, d: path(line) })),
      lines.filter((line) => line.x.length === 1).map((line) => svg("circle", { class: `point ${line.name}`, cx: x(line.x[0]), cy: y(line.y[0]), r: 3 }))));
}

const MAX_BARS = 60;

/** Share in the variance of the first ranks; a click opens the factor. */
function varianceChart() {
  const shown = FACTORS.order.filter((i) => measure("variance_explained", i) > 0).slice(0, MAX_BARS);
  const top = Math.max(...shown.map((i) => measure("variance_explained", i)));
  return h("ol", { class: "shares" }, shown.map((i) => {
    const share = measure("variance_explained", i);
    const words = `${FACTORS.names[i]}: ${percent(share)}`;
    return h("li", {}, h("a", { href: hashOf(i), title: words, "aria-label": words },
      h("span", { class: "column", style: { height: `${Math.max((100 * share) / top, 0.5)}%` } })));
  }));
}
