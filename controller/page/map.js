// A run's map, drawn from what its world renders, and polled while the run makes progress.

import { request } from "./api.js";
import { cellMap } from "./cell_map.js";
import { fill, h, setText } from "./dom.js";
import { integer } from "./format.js";
import { graphMap } from "./graph_map.js";

const NARROW_PX = 480;
const NARROW_SCALE = 1.6; // of markers and text on a narrow page
const DRAWINGS = { d2d_underlay: cellMap, conflict_graph: graphMap };

export class RunMap {
  constructor(run, signal) {
    this.path = `/runs/${encodeURIComponent(run.id)}/map`;
    this.signal = signal;
    this.world = run.world;
    this.replicas = run.config.replicas ?? 1;
    this.title = h("h2", {}, "Map");
    this.drawing = h("div", { role: "img", class: "drawing", hidden: true });
    this.legend = h("div", {});
    this.notice = h("p", { class: "notice" }, "The map appears after the first slot.");
    this.table = h("div", {});
    this.values = h("details", { hidden: true }, h("summary", {}, "As a table"), this.table);
    const parts = [this.title, this.notice, this.drawing, this.legend, this.values];
    this.element = h("section", { class: "card map-card" }, parts);
    document.addEventListener("themechange", () => this.drawn && this.draw(this.drawn), { signal });
  }

  /** Request the map, and draw it if it is new. */
  async refresh() {
    if (!(this.world in DRAWINGS)) return setText(this.notice, `This page has no drawing of the world ${this.world}.`);
    const answer = await request(this.path, { signal: this.signal });
    if (answer.slot !== null && answer.slot !== this.drawn?.slot) this.draw(answer);
  }

  draw(answer) {
    this.drawn = answer;
    const scale = this.element.clientWidth < NARROW_PX ? NARROW_SCALE : 1;
    const { drawing, fontSize, legend, summary, table } = DRAWINGS[this.world](answer.map, scale);
    this.drawing.hidden = this.values.hidden = false;
    this.notice.hidden = true;
    setText(this.title, `Map, slot ${integer(answer.slot)}${this.replicas > 1 ? ", first replica" : ""}`);
    this.drawing.setAttribute("aria-label", summary);
    drawing.style.fontSize = `${fontSize}px`;
    fill(this.drawing, drawing);
    fill(this.legend, legend);
    fill(this.table, table);
  }
}
