// A run's log: its last lines. The card scrolls to the end unless the user reads further up.

import { h } from "./dom.js";

const MAX_LINES = 1000;
const NEAR_END_PX = 8;

export class Log {
  constructor() {
    this.text = h("pre", { class: "log", tabindex: "0", role: "region", "aria-label": "Log" }, "No lines yet.");
    this.element = h("section", { class: "card wide" }, h("h2", {}, "Log"), this.text);
    this.clear();
  }

  /** Forget all lines. */
  clear() {
    this.lines = [];
  }

  /** Append lines. */
  add(lines) {
    if (!lines.length) return;
    const { text } = this;
    const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - NEAR_END_PX;
    this.lines = [...this.lines, ...lines].slice(-MAX_LINES);
    text.textContent = this.lines.join("\n");
    if (isAtEnd) text.scrollTop = text.scrollHeight;
  }
}
