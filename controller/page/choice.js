// The choice of a world or a scheme by name, and the fields of its parameters.

import { fill, h } from "./dom.js";
import { fieldsOf, setError } from "./fields.js";

const MAX_UNFOLDED = 6; // of more parameters, the first few are shown and the others are folded
const FIRST_SHOWN = 4;

export class Choice {
  /** `entries`: of the catalogue; `given`: the name and parameters of an earlier run. */
  constructor(key, title, entries, given = {}) {
    this.key = key;
    this.path = `${key}.name`;
    this.given = given;
    this.fields = [];
    this.onChange = () => {};
    const id = `choice-${key}`;
    const describedBy = `${id}-about ${id}-error`;
    this.control = h("select", { id, "aria-describedby": describedBy, onchange: () => this.show() });
    this.about = h("p", { class: "hint", id: `${id}-about` });
    this.error = h("p", { class: "field-error", id: `${id}-error` });
    this.parameters = h("div", {});
    this.element = h(
      "fieldset",
      { class: "card" },
      h("legend", {}, title),
      h("label", { for: id, class: "visually-hidden" }, title),
      this.control,
      this.about,
      this.error,
      this.parameters,
    );
    this.offer(entries);
  }

  get name() {
    return this.control.value;
  }

  /** The chosen entry of the catalogue. */
  get entry() {
    return this.entries.find(({ name }) => name === this.name);
  }

  /** Replace the options; the chosen one stays if it is among them. */
  offer(entries) {
    const before = this.name || this.given.name;
    this.entries = entries;
    fill(this.control, entries.map(({ name }) => h("option", { value: name }, name)));
    if (entries.some(({ name }) => name === before)) this.control.value = before;
    this.show();
  }

  show() {
    const { entry } = this;
    if (!entry) return;
    fill(this.about, entry.summary ?? `${entry.card.summary}. ${entry.card.citation}`);
    this.fields = fieldsOf(this.key, entry.parameters, this.given.name === this.name ? this.given : {});
    this.showParameters(this.fields.map((field) => field.element));
    this.onChange();
  }

  showParameters(elements) {
    const shown = elements.splice(0, elements.length > MAX_UNFOLDED ? FIRST_SHOWN : elements.length);
    const fold = () => h("details", {}, h("summary", {}, `${elements.length} more parameters`), fieldGrid(elements));
    const none = h("p", { class: "hint" }, "This one has no parameters.");
    fill(this.parameters, shown.length ? fieldGrid(shown) : none, elements.length ? fold() : null);
  }

  /** Show why the choice was rejected; "" removes the error. */
  showError(text) {
    setError(this.control, this.error, text);
  }
}

/** Fields in a grid. */
export function fieldGrid(elements) {
  return h("div", { class: "fields" }, elements);
}
