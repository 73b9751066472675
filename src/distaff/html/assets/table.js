// A table that sorts by its headers and searches its text.

const PAGE_ROWS = 100;
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/**
 * columns: {title, value(row) to sort and search by, cell(row) to show, numeric, hint, first: "descending"}.
 * rows: anything; `sort` is [column, descending], null for the order given.
 */
function makeTable({ columns, rows, what, sort = null, caption }) {
  const state = { sort, words: [], shown: PAGE_ROWS };
  const texts = rows.map((row) => columns.map((c) => String(c.value(row) ?? "")).join("\n").toLowerCase());
  const body = h("tbody");
  const count = h("span", { class: "count", role: "status" });
  const more = h("button", { type: "button", class: "more", onclick: () => { state.shown = Infinity; draw(); } });
  const search = h("input", {
    type: "search", placeholder: "Search", "aria-label": `Search ${what}s`, class: "search",
    oninput: () => { state.words = search.value.toLowerCase().split(/\s+/).filter(Boolean); state.shown = PAGE_ROWS; draw(); },
  });
  const heads = columns.map((column, i) => h("th", { scope: "col", class: column.numeric ? "num" : "" },
    h("button", { type: "button", title: column.hint, onclick: () => sortBy(i) }, column.title)));

  function sortBy(i) {
    const first = Boolean(columns[i].descending);
    state.sort = [i, state.sort && state.sort[0] === i ? !state.sort[1] : first];
    draw();
  }

  function compare(a, b) {
    const [i, descending] = state.sort;
    const [x, y] = [columns[i].value(rows[a]), columns[i].value(rows[b])];
    const [noX, noY] = [x === null || x === undefined || x === "", y === null || y === undefined || y === ""];
    if (noX || noY) return noX - noY || a - b; // what is missing comes last in either order
    const order = typeof x === "number" ? x - y : collator.compare(x, y);
    return (descending ? -order : order) || a - b;
  }

  function draw() {
    const found = rows.map((_, i) => i).filter((i) => state.words.every((word) => texts[i].includes(word)));
    if (state.sort) found.sort(compare);
    heads.forEach((head, i) => {
      const own = state.sort && state.sort[0] === i;
      if (own) head.setAttribute("aria-sort", state.sort[1] ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const visible = found.slice(0, state.shown);
    body.replaceChildren(...visible.map((i) => h("tr", {}, columns.map((column) =>
      h("td", { class: column.numeric ? "num" : column.kind ?? "" }, column.cell ? column.cell(rows[i]) : fmtCell(column.value(rows[i])))))));
    if (!found.length) body.append(h("tr", {}, h("td", { colspan: columns.length, class: "none" }, "Nothing matches.")));
    count.textContent = found.length === rows.length ? many(rows.length, what) : `${whole(found.length)} of ${many(rows.length, what)}`;
    more.hidden = visible.length === found.length;
    more.textContent = `Show all ${whole(found.length)}`;
  }

  draw();
  return h("div", { class: "tablebox" }, h("div", { class: "tools" }, search, count),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption ?? `Table of ${what}s` },
      h("table", {}, h("thead", {}, h("tr", {}, heads)), body)), more);
}

const fmtCell = (value) => (typeof value === "number" || value === null || value === undefined ? fmt(value) : value);
