// Elements from plain data. Text always goes through text nodes: a name can never become markup.

const SVG = "http://www.w3.org/2000/svg";

/** Fill an element: attributes, "on..." listeners, CSS properties in `style`, then children. */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [k, v] of Object.entries(value)) element.style.setProperty(k, v);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** Number for readers: three significant digits, a real minus sign, a dash for none. */
function fmt(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  let text;
  if (size !== 0 && size < 0.001) text = value.toExponential(1);
  else if (size >= 1000) text = Math.round(value).toLocaleString("en-US");
  else text = String(Number(value.toPrecision(digits)));
  return text.replace(/^-/, "−").replace("e-", "e−");
}

/** Text that may break after "_", which long names of gene sets need. */
const breakable = (name) => name.split(/(?<=_)/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));

const whole = (value) => value.toLocaleString("en-US");
const percent = (value) => (value === null || value === undefined ? "–" : `${fmt(100 * value)} %`);
const many = (n, word) => `${whole(n)} ${word}${n === 1 ? "" : "s"}`;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
