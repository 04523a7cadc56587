// The map of the world conflict_graph: agents, their devices with queues, and the conflicts between devices.

import { h, s } from "./dom.js";
import { integer } from "./format.js";
import { marker, markerSymbol, symbol } from "./markers.js";
import { table } from "./table.js";

const AGENTS_RADIUS = 175;
const DEVICES_RADIUS = 355;
const GAP = 0.6; // between the devices of two agents, in devices
const DEVICE_RADIUS = 30;
const FIRST_MARKER = 52; // from a device's centre to the marker of its first subband
const NEXT_MARKER = 26;
const MARGIN = 20;
const FONT = 20;
const COLUMNS = [
  ["device", "number"], ["agent", ""], ["queue [tasks]", "number"], ["scheduled on subbands", ""], ["succeeded on", ""],
];

/** Drawing, font size, legend, table and summary of a `map`; markers are `k` times as large. */
export function graphMap(map, k) {
  const { devices, agents } = positions(map.serves);
  const agentOf = map.serves.flatMap((own, agent) => own.map(() => agent));
  const longest = Math.max(1, ...map.queue_tasks);
  const markers = Math.max(2, ...map.active.map((bands) => bands.length - 1));
  const half = DEVICES_RADIUS + (FIRST_MARKER + MARGIN + NEXT_MARKER * markers) * k;
  return {
    fontSize: FONT * k,
    drawing: s(
      "svg",
      { viewBox: `${-half} ${-half} ${2 * half} ${2 * half}`, class: "map graph" },
      s("defs", {}, arrowHead("one-way"), arrowHead("mutual")),
      devices.map(([x1, y1], n) => {
        const [x2, y2] = agents[agentOf[n]];
        return s("line", { class: "serves", x1, y1, x2, y2 });
      }),
      conflicts(map, devices, DEVICE_RADIUS * k + 8),
      agents.map(([x, y], agent) => drawnAgent(x, y, map.agents[agent], k)),
      devices.map((point, n) => drawnDevice(point, n, map, longest, k)),
    ),
    summary: summary(map),
    legend: legend(map),
    table: table("Devices", COLUMNS, map.devices.map((id, n) => [
      String(id), map.agents[agentOf[n]], integer(map.queue_tasks[n]), listed(map.active[n]), listed(map.succeeded[n]),
    ])),
  };
}

function summary(map) {
  const tasks = map.queue_tasks.reduce((sum, queue) => sum + queue, 0);
  const collided = map.active.flatMap((bands, n) => bands.filter((band) => !map.succeeded[n].includes(band))).length;
  return `${integer(tasks)} tasks in the queues of ${map.devices.length} devices; ${collided} transmissions failed.`;
}

/** Points of agents on an inner circle and of devices on an outer one, with a gap between the devices of two agents. */
function positions(serves) {
  const all = serves.reduce((sum, own) => sum + own.length + GAP, 0);
  const on = (radius, n) => [radius * Math.sin((2 * Math.PI * n) / all), -radius * Math.cos((2 * Math.PI * n) / all)];
  const [devices, agents] = [[], []];
  let start = 0;
  for (const own of serves) {
    own.forEach((_, n) => devices.push(on(DEVICES_RADIUS, start + n)));
    agents.push(on(AGENTS_RADIUS, start + (own.length - 1) / 2));
    start += own.length + GAP;
  }
  return { devices, agents };
}

/** One arc for each conflict; one with two heads for a mutual conflict. */
function conflicts(map, devices, clearance) {
  const point = new Map(map.devices.map((id, n) => [id, devices[n]]));
  const known = new Set(map.conflicts.map(String));
  return map.conflicts
    .filter(([i, n]) => !(known.has(`${n},${i}`) && i > n))
    .map(([i, n]) => arc(point.get(i), point.get(n), clearance, known.has(`${n},${i}`) ? "mutual" : "one-way"));
}

/** A curve between two devices that ends outside both. */
function arc([x1, y1], [x2, y2], clearance, kind) {
  const distance = Math.hypot(x2 - x1, y2 - y1);
  const [ux, uy] = [(x2 - x1) / distance, (y2 - y1) / distance];
  const bend = 0.1 * distance;
  const start = `${x1 + ux * clearance} ${y1 + uy * clearance}`;
  const control = `${(x1 + x2) / 2 - uy * bend} ${(y1 + y2) / 2 + ux * bend}`;
  const end = `${x2 - ux * clearance} ${y2 - uy * clearance}`;
  const head = `url(#${kind})`;
  const heads = { "marker-end": head, "marker-start": kind === "mutual" ? head : null };
  return s("path", { d: `M${start}Q${control} ${end}`, class: `conflict ${kind}`, ...heads });
}

function arrowHead(id) {
  const size = { viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 7, markerHeight: 7 };
  const head = s("path", { d: "M0 1L10 5L0 9Z", class: `arrow-head ${id}` });
  return s("marker", { id, ...size, orient: "auto-start-reverse" }, head);
}

function drawnAgent(x, y, name, k) {
  const width = Math.max(70, 14 * name.length + 20);
  return s(
    "g",
    { class: "agent", transform: `translate(${x} ${y}) scale(${k})`, "font-size": FONT },
    s("rect", { x: -width / 2, y: -20, width, height: 40, rx: 8 }),
    s("text", { dy: "0.36em" }, name),
  );
}

function drawnDevice([x, y], n, map, longest, k) {
  const r = DEVICE_RADIUS * k;
  const tasks = map.queue_tasks[n];
  const height = (2 * r * tasks) / longest;
  const perUnit = 1 / Math.hypot(x, y);
  const bandMarker = (band, position) => {
    const outwards = 1 + (FIRST_MARKER + NEXT_MARKER * position) * k * perUnit;
    return marker(band, x * outwards, y * outwards, 10 * k, map.succeeded[n].includes(band) ? "" : "failed");
  };
  return s(
    "g",
    { class: "device" },
    s("title", {}, `device ${map.devices[n]}: ${tasks} tasks in its queue; subbands ${listed(map.active[n])}`),
    s("clipPath", { id: `inside-${n}` }, s("circle", { cx: x, cy: y, r })),
    s("circle", { cx: x, cy: y, r, class: "background" }),
    s("rect", { x: x - r, y: y + r - height, width: 2 * r, height, class: "queue", "clip-path": `url(#inside-${n})` }),
    s("circle", { cx: x, cy: y, r, class: "rim" }),
    s("text", { x, y: y - 3 * k }, String(map.devices[n])),
    s("text", { x, y: y + 18 * k, class: "tasks" }, `q ${tasks}`),
    map.active[n].map(bandMarker),
  );
}

function legend(map) {
  const bands = [...new Set(map.active.flat())].sort((a, b) => a - b);
  const line = (kind) => symbol(s("path", { d: "M-9 0H9", class: `conflict ${kind}` }));
  const items = [
    [line("mutual"), "mutual conflict"],
    [line("one-way"), "one-way conflict: disturbs the device at its arrow"],
    ["", "q: tasks in the queue, as the filling"],
    ...bands.map((band) => [markerSymbol(band), `scheduled on subband ${band}`]),
    ["", "hollow: failed"],
  ];
  return h("ul", { class: "legend" }, items.map(([sign, text]) => h("li", {}, sign, ` ${text}`)));
}

function listed(bands) {
  return bands.join(", ") || "none";
}
