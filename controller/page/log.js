// A run's log: its last lines, at the end unless somebody reads further up.

import { h } from "./element.js";

const MOST = 1000;

export class Log {
  constructor() {
    this.text = h("pre", { class: "log", tabindex: "0", role: "region", "aria-label": "Log" }, "No line yet.");
    this.element = h("section", { class: "card wide" }, h("h2", {}, "Log"), this.text);
    this.clear();
  }

  /** As if nothing had come yet. */
  clear() {
    this.lines = [];
  }

  /** More lines. */
  add(lines) {
    if (!lines.length) return;
    const { text } = this;
    const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 8;
    this.lines = [...this.lines, ...lines].slice(-MOST);
    text.textContent = this.lines.join("\n");
    if (isAtEnd) text.scrollTop = text.scrollHeight;
  }
}
