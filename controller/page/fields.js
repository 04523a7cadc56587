// Form fields from JSON schemas: label, unit, meaning, bounds, and what was wrong with what was sent.

import { h, tell } from "./element.js";
import { figure } from "./numbers.js";
import { asTyped, typed, typesOf } from "./values.js";

const BOUNDS = { minimum: "at least", exclusiveMinimum: "above", maximum: "at most", exclusiveMaximum: "below" };
let number = 0;

/** One field; `path` is its key in the configuration, with dots. */
export class Field {
  constructor(path, name, schema, value) {
    this.path = path;
    this.name = name;
    this.schema = schema;
    this.default = schema.default;
    const id = `field-${(number += 1)}`;
    this.fault = h("span", { class: "fault", id: `${id}-fault` });
    this.hint = h("span", { class: "hint", id: `${id}-hint` }, hint(schema));
    this.control = control(schema, id, value === undefined ? schema.default : value);
    this.control.setAttribute("aria-describedby", `${id}-hint ${id}-fault`);
    const unit = schema.unit ? h("span", { class: "unit" }, ` [${schema.unit}]`) : null;
    this.element = h(
      "div",
      { class: "field" },
      h("label", { for: id }, schema.label ?? label(name, schema.unit), unit),
      this.control,
      this.hint,
      this.fault,
    );
  }

  /** What is to be sent; undefined for what is as it would be anyway. */
  get value() {
    const { control: element, schema } = this;
    if (element.type === "checkbox") return element.checked === Boolean(this.default) ? undefined : element.checked;
    if (element.value.trim() === asTyped(this.default) || (element.value.trim() === "" && schema.optional)) return undefined;
    return typed(element.value, schema);
  }

  /** Say what is wrong; nothing with "". */
  blame(text) {
    tell(this.fault, text);
    if (text) this.control.setAttribute("aria-invalid", "true");
    else this.control.removeAttribute("aria-invalid");
  }
}

/** The fields of an object's schema, but for its name. */
export function fieldsOf(path, schema, values = {}) {
  return Object.entries(schema.properties)
    .filter(([name]) => name !== "name")
    .map(([name, about]) => new Field(`${path}.${name}`, name, about, values[name]));
}

/** An object of what the fields have to say, nested by their paths. */
export function gathered(fields) {
  const whole = {};
  for (const field of fields) {
    const value = field.value;
    if (value === undefined) continue;
    const keys = field.path.split(".");
    const last = keys.pop();
    let inside = whole;
    for (const key of keys) inside = inside[key] ??= {};
    inside[last] = value;
  }
  return whole;
}

function control(schema, id, value) {
  const choices = schema.enum ?? (schema.anyOf ?? []).find((one) => one.enum)?.enum;
  if (choices) return h("select", { id, value: asTyped(value) }, choices.map((one) => h("option", { value: one }, String(one))));
  const types = typesOf(schema);
  if (types.includes("boolean")) return h("input", { id, type: "checkbox", checked: Boolean(value) });
  const mode = types.includes("integer") ? "numeric" : types.includes("number") ? "decimal" : "text";
  const none = types.includes("null") || schema.optional ? "none" : null;
  return h("input", { id, type: "text", inputmode: mode, autocomplete: "off", spellcheck: "false", placeholder: none, value: asTyped(value) });
}

function label(name, unit) {
  const end = unit ? name.replace(new RegExp(`_(${unit.replaceAll(/\W/g, "_")})$`, "i"), "") : name;
  return end.replaceAll("_", " ");
}

function hint(schema) {
  const numbers = (schema.anyOf ?? [schema]).find((one) => Object.keys(BOUNDS).some((key) => key in one)) ?? {};
  const bounds = Object.entries(BOUNDS).filter(([key]) => key in numbers);
  const told = bounds.map(([key, words]) => `${words} ${figure(numbers[key])}`).join(", ");
  return [schema.description, told].filter(Boolean).join("; ");
}
