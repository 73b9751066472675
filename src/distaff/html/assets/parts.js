// Small pieces that several sections share.

const panel = (title, { note } = {}, ...children) =>
  h("section", { class: "panel" }, h("h3", {}, title), ...children,
    note ? h("p", { class: "caption" }, note) : null);

/** One line in place of a section whose slot is missing. */
const absent = (what, ...calls) =>
  h("p", { class: "absent" }, `${what} not in this file. `, "Written by ",
    ...calls.flatMap((call, i) => [i ? " or " : "", h("code", {}, DATA.missing[call])]), ".");

const factorLink = (i) => h("a", { href: hashOf(i), class: isActive(i) ? "" : "dim" }, breakable(FACTORS.names[i]));

/** Terms and what they are. */
const facts = (pairs) =>
  h("dl", { class: "facts" }, pairs.filter(Boolean).map(([term, value, hint]) =>
    h("div", { title: hint }, h("dt", {}, term), h("dd", {}, value))));

const q = (value) => h("span", { class: value !== null && value < 0.05 ? "q yes" : "q" }, fmt(value, 2));

/** A span at a place between 0 and 1 of its track. */
function mark(kind, from, to, title) {
  const left = clamp(from, 0, 1);
  const style = { left: `${100 * left}%` };
  if (to !== undefined) style.width = `${100 * (clamp(to, 0, 1) - left)}%`;
  return h("span", { class: kind, style, title });
}

/** Scale from [low, high] to [0, 1]. */
const scaler = (low, high) => (value) => (high > low ? (value - low) / (high - low) : 0.5);

/** Ends of an axis in round numbers, with up to five ticks. */
function niceAxis(low, high) {
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const rough = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((n) => n * power >= rough) * power;
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push(Number((k * step).toPrecision(12)));
  return { low, high, ticks };
}

const axisRow = (axis) => {
  const at = scaler(axis.low, axis.high);
  return h("div", { class: "row axis", "aria-hidden": "true" }, h("span"),
    h("span", { class: "track" }, axis.ticks.map((tick) =>
      h("span", { class: "tick", style: { left: `${100 * at(tick)}%` } }, fmt(tick)))), h("span"));
};
