// A run's map: the drawing that its world gives, polled while the run makes progress.

import { request } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { legendOf, svgOf, tableOf } from "./drawing.js";
import { integer } from "./format.js";

const NARROW_PX = 480;
const NARROW_SCALE = 1.6; // of markers and text on a narrow page

export class RunMap {
  constructor(run, signal) {
    this.path = `/runs/${encodeURIComponent(run.id)}/map`;
    this.signal = signal;
    this.replicas = run.config.replicas ?? 1;
    this.title = h("h2", {}, "Map");
    this.drawing = h("div", { role: "img", class: "drawing", hidden: true });
    this.legend = h("div", {});
    this.notice = h("p", { class: "notice" }, "The map appears after the first slot, if the world can be drawn.");
    this.table = h("div", {});
    this.values = h("details", { hidden: true }, h("summary", {}, "As a table"), this.table);
    const parts = [this.title, this.notice, this.drawing, this.legend, this.values];
    this.element = h("section", { class: "card map-card" }, parts);
    document.addEventListener("themechange", () => this.drawn && this.draw(this.drawn), { signal });
  }

  /** Request the map, and draw it if it is new. */
  async refresh() {
    const answer = await request(this.path, { signal: this.signal });
    if (answer.slot !== null && answer.slot !== this.drawn?.slot) this.draw(answer);
  }

  draw(answer) {
    this.drawn = answer;
    const scale = this.element.clientWidth < NARROW_PX ? NARROW_SCALE : 1;
    const values = tableOf(answer.map);
    this.drawing.hidden = false;
    this.values.hidden = !values;
    this.notice.hidden = true;
    setText(this.title, `Map, slot ${integer(answer.slot)}${this.replicas > 1 ? ", first replica" : ""}`);
    this.drawing.setAttribute("aria-label", answer.map.summary);
    fill(this.drawing, svgOf(answer.map, scale));
    fill(this.legend, legendOf(answer.map));
    fill(this.table, values);
  }
}
