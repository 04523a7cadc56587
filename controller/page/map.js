// A run's map, drawn by what its world shows; asked for again while the run goes on.

import { ask } from "./api.js";
import { cellMap } from "./cell_map.js";
import { fill, h, tell } from "./element.js";
import { graphMap } from "./graph_map.js";
import { count } from "./numbers.js";

const DRAWINGS = { d2d_underlay: cellMap, conflict_graph: graphMap };

export class RunMap {
  constructor(run) {
    this.path = `/runs/${encodeURIComponent(run.id)}/map`;
    this.world = run.world;
    this.replicas = run.config.replicas ?? 1;
    this.title = h("h2", {}, "Map");
    this.place = h("div", { role: "img", class: "drawing", hidden: true });
    this.legend = h("div", {});
    this.note = h("p", { class: "notice" }, "Drawn as soon as a slot is done.");
    this.table = h("div", {});
    this.details = h("details", { hidden: true }, h("summary", {}, "As a table"), this.table);
    this.element = h("section", { class: "card map-card" }, this.title, this.note, this.place, this.legend, this.details);
  }

  /** Ask for it, and draw it if it is new. */
  async refresh(signal) {
    if (!(this.world in DRAWINGS)) return tell(this.note, `No map is drawn of the world ${this.world}.`);
    const told = await ask(this.path, { signal });
    if (told.slot !== null && told.slot !== this.slot) this.draw(told);
  }

  draw({ slot, shown }) {
    this.slot = slot;
    const drawn = DRAWINGS[this.world](shown);
    this.place.hidden = this.details.hidden = false;
    this.note.hidden = true;
    tell(this.title, `Map, slot ${count(slot)}${this.replicas > 1 ? ", first replica" : ""}`);
    this.place.setAttribute("aria-label", drawn.summary);
    fill(this.place, drawn.drawing);
    fill(this.legend, drawn.legend);
    fill(this.table, drawn.table);
  }
}
