// Form fields from JSON schemas: label, unit, description, bounds, and the error that the controller reports.

import { h, setText } from "./dom.js";
import { fieldText, parsed, typesOf } from "./form_values.js";
import { number } from "./format.js";

const BOUNDS = { minimum: "at least", exclusiveMinimum: "above", maximum: "at most", exclusiveMaximum: "below" };
let count = 0; // of all fields, for their ids

/** Mark a form control as invalid, with the reason in `message`; "" removes the mark. */
export function setError(control, message, text) {
  setText(message, text);
  if (text) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

/** One field; `path` is its key in the configuration, with dots. */
export class Field {
  constructor(path, name, schema, value) {
    this.path = path;
    this.schema = schema;
    const id = `field-${(count += 1)}`;
    this.error = h("span", { class: "field-error", id: `${id}-error` });
    this.hint = h("span", { class: "hint", id: `${id}-hint` }, hint(schema));
    this.control = control(schema, id, value === undefined ? schema.default : value);
    this.control.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
    this.untouched = this.control.value;
    const unit = schema.unit ? h("span", { class: "unit" }, ` [${schema.unit}]`) : null;
    const label = h("label", { for: id }, schema.label ?? labelText(name, schema.unit), unit);
    this.element = h("div", { class: "field" }, label, this.control, this.hint, this.error);
  }

  /** The value to send; undefined if it is the default. */
  get value() {
    const { control: element, schema } = this;
    if (element.type === "checkbox") return element.checked === Boolean(schema.default) ? undefined : element.checked;
    const text = element.value.trim();
    if (text === fieldText(schema.default) || (text === "" && schema.optional)) return undefined;
    return parsed(element.value, schema);
  }

  /** Replace the value, unless the user has changed it. */
  propose(value) {
    if (this.control.value === this.untouched) this.control.value = this.untouched = fieldText(value);
  }

  /** Show why the value was rejected; "" removes the error. */
  showError(text) {
    setError(this.control, this.error, text);
  }
}

/** The fields of an object's schema, except its name. */
export function fieldsOf(path, schema, values = {}) {
  const properties = Object.entries(schema.properties).filter(([name]) => name !== "name");
  return properties.map(([name, property]) => new Field(`${path}.${name}`, name, property, values[name]));
}

/** The values of fields that are not at their defaults, nested by their paths. */
export function valuesOf(fields) {
  const object = {};
  for (const field of fields) {
    const value = field.value;
    if (value === undefined) continue;
    const keys = field.path.split(".");
    const last = keys.pop();
    keys.reduce((inner, key) => (inner[key] ??= {}), object)[last] = value;
  }
  return object;
}

function control(schema, id, value) {
  const options = schema.enum ?? (schema.anyOf ?? []).find((option) => option.enum)?.enum;
  if (options) {
    const elements = options.map((option) => h("option", { value: option }, String(option)));
    return h("select", { id, value: fieldText(value) }, elements);
  }
  const types = typesOf(schema);
  if (types.includes("boolean")) return h("input", { id, type: "checkbox", checked: Boolean(value) });
  const inputmode = types.includes("integer") ? "numeric" : types.includes("number") ? "decimal" : "text";
  const placeholder = types.includes("null") || schema.optional ? "none" : null;
  const about = { id, type: "text", inputmode, autocomplete: "off", spellcheck: "false", placeholder };
  return h("input", { ...about, value: fieldText(value) });
}

/** A parameter's name in words, without the unit that its name ends with. */
function labelText(name, unit) {
  const suffix = unit && new RegExp(`_(${unit.replaceAll(/\W/g, "_")})$`, "i");
  return (suffix ? name.replace(suffix, "") : name).replaceAll("_", " ");
}

function hint(schema) {
  const bounded = (schema.anyOf ?? [schema]).find((option) => Object.keys(BOUNDS).some((key) => key in option)) ?? {};
  const bounds = Object.entries(BOUNDS).filter(([key]) => key in bounded);
  const text = bounds.map(([key, words]) => `${words} ${number(bounded[key])}`).join(", ");
  return [schema.description, text].filter(Boolean).join("; ");
}
