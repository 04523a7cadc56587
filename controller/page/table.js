// Tables: with a caption, header cells, and cells that repeat their column's header on narrow screens.

import { h } from "./dom.js";

/**
 * `columns`: [header, "number" or ""]; `rows`: lists of cells, the first of which is the row's header.
 * `hideCaption`: the caption is for screen readers only; `cards`: on narrow screens each row becomes a card.
 */
export function table(caption, columns, rows, { hideCaption = false, cards = false } = {}) {
  const headers = columns.map(([text, kind]) => h("th", { scope: "col", role: "columnheader", class: kind }, text));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      { role: "table", class: cards ? "cards" : null }, // the roles survive the cards' `display: block`
      h("caption", { class: hideCaption ? "visually-hidden" : null }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, headers)),
      h("tbody", { role: "rowgroup" }, rows.map((row) => tableRow(columns, row))),
    ),
  );
}

/** One row. */
export function tableRow(columns, cells) {
  return h(
    "tr",
    { role: "row" },
    cells.map((content, n) => {
      const [header, kind] = columns[n];
      const attributes = { class: kind || null, "data-header": header };
      return n === 0
        ? h("th", { scope: "row", role: "rowheader", ...attributes }, content)
        : h("td", { role: "cell", ...attributes }, content);
    }),
  );
}
