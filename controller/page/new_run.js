// The form for a new run: a world, a scheme that fits it, their parameters, and the settings of the run.

import { request } from "./api.js";
import { Choice, fieldGrid } from "./choice.js";
import { fill, h } from "./dom.js";
import { Field, valuesOf } from "./fields.js";
import { requestBody } from "./form_values.js";
import { failure, loading } from "./notices.js";
import { retry } from "./polling.js";
import { FIXED_PHASES, LEARNING_PHASES, LINK, LINK_CLASSES, MAIN, MORE } from "./run_fields.js";

const IN_FORM = ["world", "scheme", "slots", "out", "phases", "signalling", ...Object.keys(MAIN), ...Object.keys(MORE)];
const EXAMPLE = "record: {values: true}\non_node_loss: {action: restart}";

/** The view; `query` may have the id of a run whose configuration is copied, as `like`. */
export function show(main, query, signal) {
  const content = h("div", {}, loading("worlds and schemes"));
  main.append(h("h1", {}, "New run"), content);
  const like = query.get("like");
  const load = async () => {
    const paths = ["/worlds", "/schemes", ...(like ? [`/runs/${encodeURIComponent(like)}`] : [])];
    const [worlds, schemes, run] = await Promise.all(paths.map((path) => request(path, { signal })));
    fill(content, new NewRun(worlds, schemes, run?.config ?? {}).element);
  };
  retry(signal, load, (error) => {
    fill(content, failure(error));
    return error.status < 500 ? "stop" : "retry";
  });
}

class NewRun {
  /** `given`: the configuration of an earlier run, or {}. */
  constructor(worlds, schemes, given) {
    this.schemes = schemes;
    this.given = { ...given, phases: given.phases ?? (given.slots ? { eval: given.slots } : undefined) };
    this.errors = h("div", { class: "errors", tabindex: "-1", hidden: true });
    this.world = new Choice("world", "World", worlds, given.world);
    this.scheme = new Choice("scheme", "Scheme", this.compatibleSchemes(), given.scheme);
    this.main = this.fieldsFrom(MAIN);
    this.more = this.fieldsFrom(MORE);
    this.signalling = LINK_CLASSES.map((link) => [link, this.fieldsFrom(LINK, `signalling.${link}.`)]);
    this.other = new Field("", "other", { type: "string", optional: true, label: "as YAML or JSON" });
    this.other.control.replaceWith((this.other.control = this.otherControl()));
    this.submitButton = h("button", { class: "main" }, "Start the run");
    this.element = this.form();
    this.world.onChange = () => this.scheme.offer(this.compatibleSchemes());
    this.scheme.onChange = () => this.proposePhases();
    this.proposedFor = this.given.phases && this.scheme.entry?.learns; // what was given is not replaced
    this.proposePhases();
  }

  compatibleSchemes() {
    return this.schemes.filter((scheme) => scheme.card.worlds.includes(this.world.name));
  }

  fieldsFrom(schemas, prefix = "") {
    return Object.entries(schemas).map(([key, schema]) => {
      const path = prefix + key;
      return new Field(path, key, schema, path.split(".").reduce((value, name) => value?.[name], this.given));
    });
  }

  /** Propose phases when the choice changes between schemes that learn and schemes that do not. */
  proposePhases() {
    const learns = this.scheme.entry?.learns ?? false;
    if (learns === this.proposedFor) return;
    this.proposedFor = learns;
    const phases = learns ? LEARNING_PHASES : FIXED_PHASES;
    for (const [phase, slots] of Object.entries(phases)) {
      this.main.find(({ path }) => path === `phases.${phase}`).propose(slots);
    }
  }

  /** A text area for settings that have no field, such as `record: {values: true}`. */
  otherControl() {
    const rest = Object.entries(this.given).filter(([key]) => !IN_FORM.includes(key));
    const value = rest.map(([key, setting]) => `${key}: ${JSON.stringify(setting)}`).join("\n");
    const { id } = this.other.control;
    const about = { id, rows: 5, spellcheck: "false", placeholder: EXAMPLE };
    return h("textarea", { ...about, "aria-describedby": `${id}-hint ${id}-error`, value });
  }

  form() {
    const elements = (fields) => fields.map((field) => field.element);
    const fold = (title, ...content) => h("details", {}, h("summary", {}, title), content);
    const card = (title, ...content) => h("fieldset", { class: "card" }, h("legend", {}, title), content);
    const links = this.signalling.map(([link, fields]) =>
      h("fieldset", { class: "fields" }, h("legend", {}, link === "all" ? "all links" : link), elements(fields)),
    );
    const more = fold("Episodes, replicas, checkpoints", fieldGrid(elements(this.more)));
    const ideal = h("p", { class: "hint" }, "By default links are ideal: every note arrives without delay or loss.");
    return h(
      "form",
      { class: "new", novalidate: true, onsubmit: (event) => this.submit(event) },
      this.errors,
      this.world.element,
      this.scheme.element,
      card("Run", fieldGrid(elements(this.main)), more),
      card("Signalling", ideal, fold("Delay, loss and rate of links", links)),
      card("Other settings", this.other.element),
      h("div", { class: "buttons" }, this.submitButton),
    );
  }

  get fields() {
    const links = this.signalling.flatMap(([, fields]) => fields);
    return [...this.world.fields, ...this.scheme.fields, ...this.main, ...this.more, ...links];
  }

  async submit(event) {
    event.preventDefault();
    if (this.submitButton.getAttribute("aria-disabled") === "true") return;
    this.showErrors([]);
    this.submitButton.setAttribute("aria-disabled", "true");
    try {
      const { type, text } = this.body();
      const run = await request("/runs", { method: "POST", body: text, headers: { "Content-Type": type } });
      location.hash = `#/runs/${encodeURIComponent(run.id)}`;
    } catch (error) {
      this.showErrors(error.errors?.length ? error.errors : [{ field: "", detail: error.message }]);
    } finally {
      this.submitButton.removeAttribute("aria-disabled");
    }
  }

  body() {
    const values = valuesOf(this.fields);
    const chosen = (choice) => ({ name: choice.name, ...values[choice.key] });
    const form = { ...values, world: chosen(this.world), scheme: chosen(this.scheme) };
    try {
      return requestBody(form, this.other.control.value);
    } catch (error) {
      const detail = `The other settings are not valid JSON: ${error.message}`;
      throw Object.assign(error, { errors: [{ field: "other", detail }] });
    }
  }

  /** Show each error at its field, and all of them above the form, with a button that leads to the field. */
  showErrors(errors) {
    for (const field of [...this.fields, this.other, this.world, this.scheme]) field.showError("");
    const items = errors.map(({ field, detail }) => this.errorItem(field, detail));
    this.errors.hidden = !errors.length;
    fill(this.errors, h("h2", {}, "The run was rejected"), h("ul", {}, items));
    if (errors.length) this.errors.focus();
  }

  errorItem(path, detail) {
    const field = path === "other" ? this.other : this.fieldAt(path);
    if (!field) return h("li", {}, detail);
    field.showError(detail.replace(`${path}: `, ""));
    const unfold = () => field.control.closest("details")?.setAttribute("open", "");
    const onclick = () => {
      unfold();
      field.control.focus();
    };
    unfold();
    return h("li", {}, h("button", { type: "button", class: "link", onclick }, detail));
  }

  /** The field of a path, or of the object that contains it. */
  fieldAt(path) {
    const all = [...this.fields, this.world, this.scheme];
    for (let keys = path.split("."); keys.length; keys = keys.slice(0, -1)) {
      const parent = keys.join(".");
      const found = all.find((field) => field.path === parent || field.path === `${parent}.name`);
      if (found) return found;
    }
    return null;
  }
}
