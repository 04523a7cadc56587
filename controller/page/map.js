// A run's map, drawn by what its world shows; asked for again while the run goes on.

import { ask } from "./api.js";
import { cellMap } from "./cell_map.js";
import { fill, h, tell } from "./element.js";
import { graphMap } from "./graph_map.js";
import { count } from "./numbers.js";

const NARROW_PX = 480;
const GROWN = 1.6; // marks and words of a map on a narrow page
const DRAWINGS = { d2d_underlay: cellMap, conflict_graph: graphMap };

export class RunMap {
  constructor(run, signal) {
    this.path = `/runs/${encodeURIComponent(run.id)}/map`;
    this.world = run.world;
    this.replicas = run.config.replicas ?? 1;
    this.title = h("h2", {}, "Map");
    this.place = h("div", { role: "img", class: "drawing", hidden: true });
    this.legend = h("div", {});
    this.note = h("p", { class: "notice" }, "Drawn as soon as a slot is done.");
    this.table = h("div", {});
    this.details = h("details", { hidden: true }, h("summary", {}, "As a table"), this.table);
    document.addEventListener("themechange", () => this.last && this.draw(this.last), { signal });
    this.element = h("section", { class: "card map-card" }, this.title, this.note, this.place, this.legend, this.details);
  }

  /** Ask for it, and draw it if it is new. */
  async refresh(signal) {
    if (!(this.world in DRAWINGS)) return tell(this.note, `No map is drawn of the world ${this.world}.`);
    const told = await ask(this.path, { signal });
    if (told.slot !== null && told.slot !== this.last?.slot) this.draw(told);
  }

  draw(told) {
    const { slot, shown } = (this.last = told);
    const drawn = DRAWINGS[this.world](shown, this.element.clientWidth < NARROW_PX ? GROWN : 1);
    this.place.hidden = this.details.hidden = false;
    this.note.hidden = true;
    tell(this.title, `Map, slot ${count(slot)}${this.replicas > 1 ? ", first replica" : ""}`);
    this.place.setAttribute("aria-label", drawn.summary);
    drawn.drawing.style.fontSize = `${drawn.letters}px`;
    fill(this.place, drawn.drawing);
    fill(this.legend, drawn.legend);
    fill(this.table, drawn.table);
  }
}
