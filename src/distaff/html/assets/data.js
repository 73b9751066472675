// What the page shows, parsed once; bytes are decoded when a factor is looked at.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TEXTS = JSON.parse(document.getElementById("texts").textContent);
const FACTORS = DATA.factors;
const N_FACTORS = FACTORS.names.length;
const PLACE = new Map(FACTORS.names.map((name, i) => [name, i]));

function bytes(text) {
  const raw = atob(text);
  const values = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) values[i] = raw.charCodeAt(i);
  return values;
}

/** Little-endian pairs as numbers, whatever the order of the machine. */
function words(text) {
  const raw = bytes(text);
  const values = new Uint16Array(raw.length / 2);
  for (let i = 0; i < values.length; i++) values[i] = raw[2 * i] | (raw[2 * i + 1] << 8);
  return values;
}

const XY = words(DATA.cells.xy);
const decoded = new Map();
const once = (key, make) => {
  if (!decoded.has(key)) decoded.set(key, make());
  return decoded.get(key);
};
const classCodes = (group) => once(`group ${group.name}`, () => bytes(group.codes));

/** Rows of a table that is stored by column, gathered by the factor that they are about. */
function byFactor(table) {
  const rows = Array.from({ length: N_FACTORS }, () => []);
  if (table) table.factor.forEach((factor, row) => rows[factor].push(row));
  return rows;
}

const RANKED = byFactor(DATA.ranked);
const ENRICHED = byFactor(DATA.enriched);

const isActive = (i) => !FACTORS.active || FACTORS.active[i];
const N_ACTIVE = FACTORS.names.filter((_, i) => isActive(i)).length;
const measure = (name, i) => (FACTORS[name] ? FACTORS[name][i] : null);

/** Up to n names of the genes that go up with the factor. */
function topNames(i, n) {
  if (!DATA.genes) return [];
  return DATA.genes.up[i][0].slice(0, n).map((gene) => DATA.genes.names[gene]);
}

const bestSet = (i) => (ENRICHED[i].length ? ENRICHED[i][0] : null);
const bestGroup = (i) => (RANKED[i].length ? RANKED[i][0] : null);
const hashOf = (i) => `#factor/${encodeURIComponent(FACTORS.names[i])}`;
