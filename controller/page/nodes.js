// The nodes of a run: where each lives, whether it is there, what it missed, how old its word is.

import { ask } from "./api.js";
import { fill, h, tell } from "./element.js";
import { count } from "./numbers.js";
import { table } from "./table.js";

const FEW = 20;
const COLUMNS = [["node", ""], ["role", ""], ["place", ""], ["there", ""], ["slots missed", "number"], ["weights version", "number"], ["last report [slots ago]", "number"]];

export class Nodes {
  constructor(run, scalars, signal) {
    this.id = run.id;
    this.scalars = scalars;
    this.signal = signal;
    this.all = false;
    this.place = h("div", {}, h("p", { class: "notice" }, "Loading nodes …"));
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.toggle() });
    this.element = h("section", { class: "card wide nodes" }, h("h2", {}, "Nodes"), this.place, this.more);
  }

  /** Ask for them, as they are at `slot`. */
  async refresh(slot) {
    const { nodes } = await ask("/nodes", { query: { run: this.id }, signal: this.signal });
    this.told = nodes.map((node) => [
      node.name,
      node.role,
      node.placement,
      node.present ? "yes" : h("strong", {}, "lost"),
      count(node.slots_missed),
      count(node.policy_version),
      count(this.scalars.heard.has(node.name) ? Math.max(0, slot - this.scalars.heard.get(node.name)) : null),
    ]);
    this.show();
  }

  toggle() {
    this.all = !this.all;
    this.show();
  }

  show() {
    const hidden = this.told.length - FEW;
    this.more.hidden = hidden <= 0;
    tell(this.more, this.all ? "Show fewer" : `Show ${hidden} more`);
    const before = this.place.querySelector(".scroll");
    if (before === document.activeElement) return; // whoever reads it now may go on
    fill(this.place, table("Nodes of the run", COLUMNS, this.told.slice(0, this.all ? undefined : FEW), { hidden: true }));
  }
}
