// The nodes of a run: where each is placed, whether it is present, and how recent its weights and reports are.

import { request } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { integer } from "./format.js";
import { loading } from "./notices.js";
import { table } from "./table.js";

const MAX_SHOWN = 20; // until the user asks for more
const COLUMNS = [
  ["node", ""], ["role", ""], ["placement", ""], ["present", ""], ["slots missed", "number"],
  ["policy version", "number"], ["last report [slots ago]", "number"],
];

export class Nodes {
  constructor(run, scalars, signal) {
    this.run = run.id;
    this.scalars = scalars;
    this.signal = signal;
    this.rows = [];
    this.showsAll = false;
    this.content = h("div", {}, loading("nodes"));
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.toggle() });
    this.element = h("section", { class: "card wide nodes" }, h("h2", {}, "Nodes"), this.content, this.more);
  }

  /** Request the nodes, of a run that has done `slot` slots. */
  async refresh(slot) {
    const { nodes } = await request("/nodes", { query: { run: this.run }, signal: this.signal });
    this.rows = nodes.map((node) => [
      node.name,
      node.role,
      node.placement,
      node.present ? "yes" : h("strong", {}, "lost"),
      integer(node.slots_missed),
      integer(node.policy_version),
      integer(this.reportAge(node.name, slot)),
    ]);
    this.show();
  }

  reportAge(name, slot) {
    const { lastReport } = this.scalars;
    return lastReport.has(name) ? Math.max(0, slot - lastReport.get(name)) : null;
  }

  toggle() {
    this.showsAll = !this.showsAll;
    this.show();
  }

  show() {
    const hidden = this.rows.length - MAX_SHOWN;
    this.more.hidden = hidden <= 0;
    setText(this.more, this.showsAll ? "Show fewer" : `Show ${hidden} more`);
    // A table that has the focus is being read or scrolled by keyboard: leave it until the focus moves on.
    if (this.content.querySelector(".scroll") === document.activeElement) return;
    const rows = this.rows.slice(0, this.showsAll ? undefined : MAX_SHOWN);
    fill(this.content, table("Nodes of the run", COLUMNS, rows, { hideCaption: true }));
  }
}
