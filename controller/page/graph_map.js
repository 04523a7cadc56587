// The map of the world conflict_graph: agents, their devices with queues, and which device spoils which.

import { h, s } from "./element.js";
import { mark, sample } from "./marks.js";
import { count } from "./numbers.js";
import { table } from "./table.js";

const INNER = 175;
const OUTER = 355;
const GAP = 0.6; // between the devices of two agents
const RADIUS = 30; // of a device
const FIRST = 52; // from a device to the mark of the first of its subbands
const NEXT = 26;

/** What `shown` of a picture looks like, its marks `k` times as large: drawing, legend, table, summary. */
export function graphMap(shown, k) {
  const { devices, agents } = places(shown.serves);
  const owner = shown.serves.flatMap((own, agent) => own.map(() => agent));
  const most = Math.max(1, ...shown.queue_tasks);
  const total = shown.queue_tasks.reduce((sum, tasks) => sum + tasks, 0);
  const spoilt = shown.active.flatMap((on, n) => on.filter((band) => !shown.succeeded[n].includes(band))).length;
  const half = OUTER + (FIRST + 20 + NEXT * Math.max(2, ...shown.active.map((on) => on.length - 1))) * k;
  return {
    letters: 20 * k,
    drawing: s(
      "svg",
      { viewBox: `${-half} ${-half} ${2 * half} ${2 * half}`, class: "map graph" },
      s("defs", {}, head("one-way"), head("both-ways")),
      devices.map((place, n) => s("line", { class: "serves", x1: place[0], y1: place[1], x2: agents[owner[n]][0], y2: agents[owner[n]][1] })),
      conflicts(shown, devices, RADIUS * k + 8),
      agents.map(([x, y], agent) => drawnAgent(x, y, shown.agents[agent], k)),
      devices.map((place, n) => device(place, n, shown, most, k)),
    ),
    summary: `${count(total)} tasks wait at ${shown.devices.length} devices; ${spoilt} transmissions were spoilt.`,
    legend: legend(shown),
    table: table(
      "Devices",
      [["device", "number"], ["agent", ""], ["queue [tasks]", "number"], ["subbands it was on", ""], ["got through on", ""]],
      shown.devices.map((id, n) => [String(id), shown.agents[owner[n]], count(shown.queue_tasks[n]), listed(shown.active[n]), listed(shown.succeeded[n])]),
    ),
  };
}

/** Agents on an inner circle and devices on an outer one, with a gap between agents. */
function places(serves) {
  const all = serves.reduce((sum, own) => sum + own.length + GAP, 0);
  const on = (radius, at) => [radius * Math.sin((2 * Math.PI * at) / all), -radius * Math.cos((2 * Math.PI * at) / all)];
  const [devices, agents] = [[], []];
  let start = 0;
  for (const own of serves) {
    own.forEach((_, n) => devices.push(on(OUTER, start + n)));
    agents.push(on(INNER, start + (own.length - 1) / 2));
    start += own.length + GAP;
  }
  return { devices, agents };
}

function conflicts(shown, devices, room) {
  const place = new Map(shown.devices.map((id, n) => [id, devices[n]]));
  const known = new Set(shown.conflicts.map(String));
  return shown.conflicts
    .filter(([i, n]) => !(known.has(`${n},${i}`) && i > n))
    .map(([i, n]) => arc(place.get(i), place.get(n), room, known.has(`${n},${i}`) ? "both-ways" : "one-way"));
}

/** A bent line between two devices that leaves them room. */
function arc([x1, y1], [x2, y2], room, kind) {
  const far = Math.hypot(x2 - x1, y2 - y1);
  const [ux, uy] = [(x2 - x1) / far, (y2 - y1) / far];
  const bend = 0.1 * far;
  const [mx, my] = [(x1 + x2) / 2 - uy * bend, (y1 + y2) / 2 + ux * bend];
  const d = `M${x1 + ux * room} ${y1 + uy * room}Q${mx} ${my} ${x2 - ux * room} ${y2 - uy * room}`;
  return s("path", { d, class: `conflict ${kind}`, "marker-end": `url(#${kind})`, "marker-start": kind === "both-ways" ? `url(#${kind})` : null });
}

function head(id) {
  const about = { id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" };
  return s("marker", about, s("path", { d: "M0 1L10 5L0 9Z", class: `head ${id}` }));
}

function drawnAgent(x, y, name, k) {
  const width = Math.max(70, 14 * name.length + 20);
  return s(
    "g",
    { class: "agent", transform: `translate(${x} ${y}) scale(${k})`, "font-size": 20 },
    s("rect", { x: -width / 2, y: -20, width, height: 40, rx: 8 }),
    s("text", { dy: "0.36em" }, name),
  );
}

function device([x, y], n, shown, most, k) {
  const r = RADIUS * k;
  const tasks = shown.queue_tasks[n];
  const height = (2 * r * tasks) / most;
  const out = 1 / Math.hypot(x, y);
  const band = (nth, far) => mark(nth, x * (1 + far * k * out), y * (1 + far * k * out), 10 * k, shown.succeeded[n].includes(nth) ? "" : "spoilt");
  return s(
    "g",
    { class: "device" },
    s("title", {}, `device ${shown.devices[n]}: ${tasks} tasks wait; on subbands ${listed(shown.active[n])}`),
    s("clipPath", { id: `inside-${n}` }, s("circle", { cx: x, cy: y, r })),
    s("circle", { cx: x, cy: y, r, class: "ground" }),
    s("rect", { x: x - r, y: y + r - height, width: 2 * r, height, class: "queue", "clip-path": `url(#inside-${n})` }),
    s("circle", { cx: x, cy: y, r, class: "rim" }),
    s("text", { x, y: y - 3 * k }, String(shown.devices[n])),
    s("text", { x, y: y + 18 * k, class: "tasks" }, `q ${tasks}`),
    shown.active[n].map((nth, place) => band(nth, FIRST + NEXT * place)),
  );
}

function legend(shown) {
  const bands = [...new Set(shown.active.flat())].sort((a, b) => a - b);
  const line = (kind) => s("svg", { class: "sample", viewBox: "-10 -10 20 20", width: 16, height: 16, "aria-hidden": "true" }, s("path", { d: "M-9 0H9", class: `conflict ${kind}` }));
  return h(
    "ul",
    { class: "legend" },
    h("li", {}, line("both-ways"), " spoil each other"),
    h("li", {}, line("one-way"), " spoils the one it points at"),
    h("li", {}, "q: tasks that wait, as the filling"),
    bands.map((band) => h("li", {}, sample(band), ` on subband ${band}`)),
    h("li", {}, "hollow: spoilt"),
  );
}

function listed(bands) {
  return bands.join(", ") || "none";
}
