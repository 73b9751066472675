// Which section is shown: the part of the address after "#" says so, and can be sent to others.

const SECTIONS = [
  ["overview", "Overview", overviewSection], ["factor", "Factors", null], ["groups", "Groups", groupsSection],
  ["sets", "Gene sets", setsSection], ["scores", "Scores", scoresSection], ["guide", "Guide", guideSection],
];
const main = document.getElementById("main");
const nav = document.getElementById("nav");
let browser = null;
let section = "";

/** Section and factor that the address asks for; a notice if there is none of that name. */
function route() {
  const [name, ...rest] = window.location.hash.slice(1).split("/");
  if (!SECTIONS.some(([known]) => known === name)) return { name: "overview" };
  if (name !== "factor") return { name };
  if (!rest.length || !rest[0]) return { name, factor: browser?.current ?? FACTORS.order[0] };
  let wanted = rest.join("/");
  try { wanted = decodeURIComponent(wanted); } catch { /* a "%" that stands for itself */ }
  const factor = PLACE.get(wanted);
  return factor === undefined ? { name: "overview", notice: `There is no factor called “${wanted}” here.` } : { name, factor };
}

function show() {
  const { name, factor, notice } = route();
  for (const link of nav.children) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (name !== "factor") {
    main.replaceChildren(...(notice ? [h("p", { class: "note", role: "alert" }, notice)] : []), SECTIONS.find(([known]) => known === name)[2]());
    window.scrollTo(0, 0);
  } else {
    browser ??= browserSection();
    if (section !== "factor") main.replaceChildren(browser.element);
    browser.show(factor);
    browser.current = factor;
    if (section !== "factor") window.scrollTo(0, 0);
  }
  section = name;
  document.title = `${name === "factor" ? FACTORS.names[factor] : SECTIONS.find(([known]) => known === name)[1]} · ${DATA.title}`;
}

function keys(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key === "/") {
    const search = main.querySelector("input[type=search]");
    if (!search) return;
    event.preventDefault();
    if (section === "factor") browser.open();
    search.focus();
    search.select();
  } else if (section === "factor" && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
    event.preventDefault();
    browser.step(event.key === "ArrowLeft" ? -1 : 1);
  }
}

document.getElementById("brand").textContent = DATA.key === "distaff" ? "distaff" : `distaff · ${DATA.key}`;
nav.append(...SECTIONS.map(([name, title]) => h("a", { href: `#${name}` }, title)));
window.addEventListener("hashchange", show);
document.addEventListener("keydown", keys);
dark.addEventListener("change", show);
show();
