// Colours that colour-blind readers can tell apart, on light and on dark ground.

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const VIRIDIS = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725"];
const OKABE_ITO = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442", "#000000"];
const DIVERGING = {
  light: ["#a03c00", "#d55e00", "#eba06a", "#dedede", "#6fb0d8", "#0072b2", "#004a78"],
  dark: ["#ffb27a", "#f08235", "#9a5326", "#3a3e46", "#2b6690", "#3f9fdc", "#9ad2f8"],
};
const STEPS = 256;

const channels = (color) => [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));

/** Colours of 256 steps along the stops. */
function ramp(stops) {
  return Array.from({ length: STEPS }, (_, step) => {
    const place = (step / (STEPS - 1)) * (stops.length - 1);
    const i = Math.min(Math.floor(place), stops.length - 2);
    const [a, b] = [channels(stops[i]), channels(stops[i + 1])];
    const mixed = a.map((value, k) => Math.round(value + (b[k] - value) * (place - i)));
    return `rgb(${mixed.join(",")})`;
  });
}

// the larger the value, the further from the ground
const sequential = () => ramp(dark.matches ? VIRIDIS : ["#ececdf", ...VIRIDIS.slice(0, 9).reverse()]);
const diverging = () => ramp(dark.matches ? DIVERGING.dark : DIVERGING.light);

/** Colours of n classes: Okabe and Ito's eight, beyond that hues at two levels of lightness. */
function classColors(n) {
  if (n <= OKABE_ITO.length) {
    return OKABE_ITO.slice(0, n).map((color) => (color === "#000000" && dark.matches ? "#e8e8e8" : color));
  }
  return Array.from({ length: n }, (_, i) => `hsl(${Math.round((i * 360) / n)} 65% ${i % 2 ? 62 : 42}%)`);
}

const MISSING = () => (dark.matches ? "#33373f" : "#e2e2e2");
