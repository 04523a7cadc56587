// A new run: a world, a scheme that fits it, and what else is to be said, from their own schemas.

import { ask } from "./api.js";
import { fill, h } from "./element.js";
import { Field, fieldsOf, gathered } from "./fields.js";
import { failure, loading } from "./notices.js";
import { once } from "./patience.js";
import { body } from "./values.js";

const SHOWN = 4; // parameters of a world or scheme that are seen at once
const MANY = 6;
const WHOLE = { type: "integer", minimum: 0 };
const LINKS = ["all", "sidelink", "uplink", "downlink", "backhaul"];
const RUN = {
  "phases.warmup": { ...WHOLE, default: 0, description: "slots before anybody learns", label: "warmup", unit: "slots" },
  "phases.train": { ...WHOLE, default: 0, description: "slots in which those that learn do", label: "train", unit: "slots" },
  "phases.eval": { ...WHOLE, default: 1000, description: "slots that the figures are means over", label: "eval", unit: "slots" },
  seed: { ...WHOLE, default: 1, description: "the same seed gives the same places, channels and traffic" },
  placement: { enum: ["processes", "in-process", "pool"], default: "processes", description: "processes: every node is one of its own; pool: at workers that report to this controller" },
  episode_slots: { type: "integer", minimum: 1, optional: true, description: "slots between two resets", label: "episode", unit: "slots" },
  train_delay_slots: { ...WHOLE, default: 0, description: "how long after they were learnt weights are told", label: "train delay", unit: "slots" },
  replicas: { type: "integer", minimum: 1, maximum: 10000, default: 1, description: "copies of the world, stepped together" },
  checkpoint_every: { ...WHOLE, default: 0, description: "slots between two checkpoints; 0 for none", label: "checkpoint every", unit: "slots" },
};
const OF_LINKS = {
  delay_slots: { ...WHOLE, optional: true, label: "delay", unit: "slots" },
  loss: { type: "number", minimum: 0, maximum: 1, optional: true, description: "share of notes" },
  bits_per_slot: { type: "integer", optional: true, description: "a whole number, or radio", label: "bits per slot" },
};

/** The view; `query` may name a run whose configuration is taken over, as `like`. */
export function show(main, query, signal) {
  const place = h("div", {}, loading("worlds and schemes"));
  main.append(h("h1", {}, "New run"), place);
  const like = query.get("like");
  const begin = async () => {
    const asked = [ask("/worlds", { signal }), ask("/schemes", { signal }), like && ask(`/runs/${encodeURIComponent(like)}`, { signal })];
    const [worlds, schemes, run] = await Promise.all(asked);
    fill(place, new NewRun(worlds, schemes, run?.config ?? {}).element);
  };
  once(signal, begin, (error) => (fill(place, failure(error)), error.status < 500 ? "stop" : "again"));
}

class NewRun {
  constructor(worlds, schemes, given) {
    this.schemes = schemes;
    this.given = { phases: given.slots ? { eval: given.slots } : {}, ...given };
    this.faults = h("div", { class: "faults", tabindex: "-1", hidden: true });
    this.world = new Choice("world", "World", worlds, given.world);
    this.scheme = new Choice("scheme", "Scheme", this.fitting(), given.scheme);
    this.world.changed = () => this.scheme.offer(this.fitting());
    this.run = Object.entries(RUN).map(([path, schema]) => new Field(path, path, schema, inside(this.given, path)));
    this.signalling = LINKS.map((link) => [link, this.ofLinks(link)]);
    this.more = new Field("", "more", { type: "string", optional: true, label: "as YAML or JSON" });
    this.more.control.replaceWith((this.more.control = this.box()));
    this.send = h("button", { class: "main" }, "Start the run");
    this.element = this.form();
  }

  fitting() {
    return this.schemes.filter((scheme) => scheme.card.worlds.includes(this.world.name));
  }

  ofLinks(link) {
    const said = this.given.signalling?.[link] ?? {};
    return Object.entries(OF_LINKS).map(([key, schema]) => new Field(`signalling.${link}.${key}`, key, schema, said[key]));
  }

  /** For what the form has no fields for, such as `record: {values: true}`. */
  box() {
    const known = ["world", "scheme", "slots", "out", ...Object.keys(RUN).map((path) => path.split(".")[0]), "signalling"];
    const rest = Object.entries(this.given).filter(([key]) => !known.includes(key));
    const text = rest.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join("\n");
    const { id } = this.more.control;
    const about = { id, rows: 5, spellcheck: "false", placeholder: "record: {values: true}\non_node_loss: {policy: restart}" };
    return h("textarea", { ...about, "aria-describedby": `${id}-hint ${id}-fault`, value: text });
  }

  form() {
    const [main, more] = [this.run.slice(0, 5), this.run.slice(5)];
    const links = this.signalling.map(([link, fields]) =>
      h("fieldset", { class: "fields three" }, h("legend", {}, link === "all" ? "all links" : link), fields.map((one) => one.element)),
    );
    return h(
      "form",
      { class: "new", novalidate: true, onsubmit: (event) => this.submit(event) },
      this.faults,
      this.world.element,
      this.scheme.element,
      h(
        "fieldset",
        { class: "card" },
        h("legend", {}, "Run"),
        h("div", { class: "fields" }, main.map((one) => one.element)),
        h("details", {}, h("summary", {}, "Episodes, replicas, checkpoints"), h("div", { class: "fields" }, more.map((one) => one.element))),
      ),
      h(
        "fieldset",
        { class: "card" },
        h("legend", {}, "Signalling"),
        h("p", { class: "hint" }, "Ideal where nothing is said: every note arrives, in time."),
        h("details", {}, h("summary", {}, "Delay, loss and rate of links"), links),
      ),
      h("fieldset", { class: "card" }, h("legend", {}, "Everything else"), this.more.element),
      h("div", { class: "buttons" }, this.send),
    );
  }

  get fields() {
    const links = this.signalling.flatMap(([, fields]) => fields);
    return [...this.world.fields, ...this.scheme.fields, ...this.run, ...links];
  }

  async submit(event) {
    event.preventDefault();
    if (this.send.getAttribute("aria-disabled") === "true") return;
    this.blame([]);
    this.send.setAttribute("aria-disabled", "true");
    try {
      const { type, text } = this.written();
      const run = await ask("/runs", { method: "POST", body: text, headers: { "Content-Type": type } });
      location.hash = `#/runs/${encodeURIComponent(run.id)}`;
    } catch (error) {
      this.blame(error.faults?.length ? error.faults : [{ field: "", detail: error.message }]);
    } finally {
      this.send.removeAttribute("aria-disabled");
    }
  }

  written() {
    const told = gathered(this.fields);
    const choice = (which) => ({ name: which.name, ...told[which.key] });
    try {
      return body({ ...told, world: choice(this.world), scheme: choice(this.scheme) }, this.more.control.value);
    } catch (error) {
      throw Object.assign(error, { faults: [{ field: "more", detail: `Everything else is not JSON: ${error.message}` }] });
    }
  }

  /** Each fault at its field, and all of them above the form, with a way to the field. */
  blame(faults) {
    for (const field of [...this.fields, this.more, this.world, this.scheme]) field.blame("");
    const lines = faults.map(({ field, detail }) => this.line(field, detail));
    this.faults.hidden = !faults.length;
    fill(this.faults, h("h2", {}, "The run cannot be started"), h("ul", {}, lines));
    if (faults.length) this.faults.focus();
  }

  line(path, detail) {
    const field = path === "more" ? this.more : this.nearest(path);
    if (!field) return h("li", {}, detail);
    field.blame(detail.replace(`${path}: `, ""));
    const go = () => {
      field.control.closest("details")?.setAttribute("open", "");
      field.control.focus();
    };
    field.control.closest("details")?.setAttribute("open", "");
    return h("li", {}, h("button", { type: "button", class: "link", onclick: go }, detail));
  }

  /** The field of a path, or of what it lies in. */
  nearest(path) {
    const places = [...this.fields, this.world, this.scheme];
    for (let keys = path.split("."); keys.length; keys = keys.slice(0, -1)) {
      const found = places.find((field) => field.path === keys.join(".") || field.path === `${keys.join(".")}.name`);
      if (found) return found;
    }
    return null;
  }
}

/** A world or a scheme by name, and its parameters. */
class Choice {
  constructor(key, title, entries, given = {}) {
    this.key = key;
    this.path = `${key}.name`;
    this.given = given;
    this.changed = () => {};
    this.control = h("select", { id: `choice-${key}`, "aria-describedby": `choice-${key}-about choice-${key}-fault`, onchange: () => this.show() });
    this.about = h("p", { class: "hint", id: `choice-${key}-about` });
    this.fault = h("p", { class: "fault", id: `choice-${key}-fault` });
    this.place = h("div", {});
    this.element = h(
      "fieldset",
      { class: "card" },
      h("legend", {}, title),
      h("label", { for: `choice-${key}`, class: "unseen" }, title),
      this.control,
      this.about,
      this.fault,
      this.place,
    );
    this.offer(entries);
  }

  get name() {
    return this.control.value;
  }

  offer(entries) {
    const before = this.name || this.given.name;
    this.entries = entries;
    fill(this.control, entries.map(({ name }) => h("option", { value: name }, name)));
    if (entries.some(({ name }) => name === before)) this.control.value = before;
    this.show();
  }

  show() {
    const entry = this.entries.find(({ name }) => name === this.name);
    if (!entry) return;
    fill(this.about, entry.summary ?? `${entry.card.summary}. ${entry.card.citation}`);
    this.fields = fieldsOf(this.key, entry.parameters, this.given.name === this.name ? this.given : {});
    const all = this.fields.map((field) => field.element);
    const shown = all.length > MANY ? all.splice(0, SHOWN) : all.splice(0);
    const rest = all.length ? h("details", {}, h("summary", {}, `${all.length} more parameters`), h("div", { class: "fields" }, all)) : null;
    fill(this.place, shown.length ? h("div", { class: "fields" }, shown) : h("p", { class: "hint" }, "It has no parameters."), rest);
    this.changed();
  }

  blame(text) {
    fill(this.fault, text);
    if (text) this.control.setAttribute("aria-invalid", "true");
    else this.control.removeAttribute("aria-invalid");
  }
}

function inside(given, path) {
  return path.split(".").reduce((one, key) => one?.[key], given);
}
