// The cells on their embedding, coloured by a factor or by groups.

const FULL = 65535;
const NO_CLASS = 255;

/** Colour of each drawn cell by the value of a factor. */
function factorColors(i) {
  const { bytes: text, low, high } = DATA.cells.values[i];
  const values = once(`factor ${i}`, () => bytes(text));
  const signed = low < 0;
  const end = Math.max(Math.abs(low), Math.abs(high));
  const [from, to] = signed ? [-end, end] : [low, high];
  const colors = signed ? diverging() : sequential();
  const at = scaler(from, to);
  const steps = Array.from({ length: STEPS }, (_, k) => Math.round((STEPS - 1) * at(low + (k / (STEPS - 1)) * (high - low))));
  return { of: (cell) => colors[steps[values[cell]]], colors, from, to, constant: low === high };
}

/** Where the cells lie in a box of this size, in pixels. */
function layout(width, height) {
  const margin = 8;
  const [across, up] = [(width - 2 * margin) / FULL, (height - 2 * margin) / FULL];
  return { x: (k) => margin + XY[2 * k] * across, y: (k) => height - margin - XY[2 * k + 1] * up };
}

/** Draw all cells; colorOf(cell) is a colour, null for cells that lie below in grey. */
function paint(canvas, colorOf) {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const { x, y } = layout(width, height);
  const n = DATA.cells.n;
  const radius = clamp(0.42 * Math.sqrt((width * height) / n / 3), 0.7, 4);
  const round = n <= 6000;
  const dot = (k, color) => {
    context.fillStyle = color;
    if (!round) return context.fillRect(x(k) - radius, y(k) - radius, 2 * radius, 2 * radius);
    context.beginPath();
    context.arc(x(k), y(k), radius, 0, 2 * Math.PI);
    return context.fill();
  };
  const above = [];
  for (let k = 0; k < n; k++) {
    const color = colorOf(k);
    if (color === null) dot(k, MISSING());
    else above.push([k, color]);
  }
  for (const [k, color] of above) dot(k, color);
}

function colorBar({ colors, from, to, constant }) {
  if (constant) return h("p", { class: "caption" }, `The same value in all cells: ${fmt(from)}.`);
  const stops = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1].map((share) => colors[Math.round(share * (STEPS - 1))]);
  return h("div", { class: "colorbar" }, h("span", {}, fmt(from)),
    h("span", { class: "ramp", style: { background: `linear-gradient(to right, ${stops.join(",")})` } }), h("span", {}, fmt(to)));
}

/** Canvas with a choice of what colours it: a factor (unless null) and the groups. */
function cellPlot(factor) {
  const canvas = h("canvas", { class: "cells", role: "img" });
  const legend = h("div", { class: "legend" });
  const choices = [...(factor === null ? [] : [["factor", FACTORS.names[factor]]]), ...DATA.groups.map((group, k) => [String(k), group.name])];
  const state = { by: cellPlot.by && choices.some(([value]) => value === cellPlot.by) ? cellPlot.by : choices[0]?.[0], only: null };
  const select = h("select", { "aria-label": "Colour cells by", onchange: () => { cellPlot.by = state.by = select.value; state.only = null; draw(); } },
    choices.map(([value, label]) => h("option", { value, selected: value === state.by }, label)));

  function drawFactor() {
    const scale = factorColors(factor);
    paint(canvas, scale.of);
    canvas.setAttribute("aria-label", `Cells coloured by ${FACTORS.names[factor]}`);
    legend.replaceChildren(colorBar(scale));
  }

  function drawGroup(group) {
    const colors = classColors(group.classes.length);
    const codes = classCodes(group);
    paint(canvas, (cell) => (codes[cell] === NO_CLASS || (state.only !== null && codes[cell] !== state.only) ? null : colors[codes[cell]]));
    canvas.setAttribute("aria-label", `Cells coloured by ${group.name}`);
    legend.replaceChildren(h("div", { class: "classes" }, group.classes.map((name, k) =>
      h("button", { type: "button", "aria-pressed": String(state.only === k), title: `Show ${name} alone`,
        onclick: () => { state.only = state.only === k ? null : k; draw(); } },
      fillColor(h("span", { class: "swatch" }), colors[k]), name))));
  }

  function draw() {
    if (state.by === undefined) paint(canvas, () => MISSING());
    else if (state.by === "factor") drawFactor();
    else drawGroup(DATA.groups[Number(state.by)]);
  }

  new ResizeObserver(draw).observe(canvas);
  return h("div", { class: "cellbox" },
    choices.length > 1 ? h("label", { class: "colorby" }, "Colour by ", select) : null, canvas,
    h("div", { class: "axes", "aria-hidden": "true" }, `${DATA.cells.basis[0]} →`, h("span", {}, DATA.cells.basis[1] && `${DATA.cells.basis[1]} ↑`)), legend);
}

const drawnNote = () => (DATA.cells.n === DATA.n_cells ? `All ${many(DATA.n_cells, "cell")}.`
  : `${whole(DATA.cells.n)} of ${many(DATA.n_cells, "cell")}, drawn at random (seed ${DATA.random_state}); everything else on this page is from all cells.`);

const cellsNote = () => (FACTORS.names.includes(DATA.cells.basis[0])
  ? [drawnNote(), " The axes are the first factors, as there is no UMAP: ", h("code", {}, DATA.missing.umap), " writes one."] : drawnNote());
