// Tables: with a caption, heads that are heads, and cells that name their column where the page is narrow.

import { h } from "./element.js";

/** `columns`: [head, "number" or ""]; `rows`: lists of cells, the first of which heads its row. `hidden`: the caption is
 * for screen readers alone; `cards`: where the page is narrow, a row becomes a card. */
export function table(caption, columns, rows, { hidden = false, cards = false } = {}) {
  const heads = columns.map(([head, kind]) => h("th", { scope: "col", role: "columnheader", class: kind }, head));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      { role: "table", class: cards ? "cards" : null },
      h("caption", { class: hidden ? "unseen" : null }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
      h("tbody", { role: "rowgroup" }, rows.map((row) => tableRow(columns, row))),
    ),
  );
}

/** One row. */
export function tableRow(columns, cells) {
  return h(
    "tr",
    { role: "row" },
    cells.map((content, place) => {
      const [head, kind] = columns[place];
      const about = { class: kind || null, "data-head": head };
      return place === 0
        ? h("th", { scope: "row", role: "rowheader", ...about }, content)
        : h("td", { role: "cell", ...about }, content);
    }),
  );
}
