// Values of a form as they are sent. Integers stay as they were typed: JavaScript's are exact up to 2^53 only.

/** Text that is sent unquoted. */
export class Verbatim {
  constructor(text) {
    this.text = text;
  }
}

/** JSON, with integers of any length. It is also YAML in flow style. */
export function toJson(value) {
  if (value instanceof Verbatim) return value.text;
  if (Array.isArray(value)) return `[${value.map(toJson).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${toJson(member)}`);
  return `{${pairs.join(", ")}}`;
}

/** A field's text as a value of its JSON schema. Text that is no number where one is due is sent as text, so that the
 * controller rejects it with its reason. */
export function parsed(text, schema) {
  const trimmed = text.trim();
  const types = typesOf(schema);
  if (trimmed === "" && types.includes("null")) return null;
  if (types.includes("array")) return parsedList(trimmed);
  if (types.includes("integer") || types.includes("number")) return parsedNumber(trimmed);
  return text;
}

/** The types that a field's value may have. */
export function typesOf(schema) {
  return (schema.anyOf ?? [schema]).map((option) => option.type ?? "string");
}

/** A value as text for a field. */
export function fieldText(value) {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The body of the request for a new run: the form's keys, and `more` as YAML or JSON. YAML comes first, so that its
 * lines keep the numbers that the controller's errors mention. */
export function requestBody(form, more) {
  const text = more.trim();
  if (!text) return { type: "application/json", text: toJson(form) };
  if (text.startsWith("{")) return { type: "application/json", text: toJson({ ...form, ...JSON.parse(text) }) };
  const lines = Object.entries(form).map(([key, value]) => `${key}: ${toJson(value)}`);
  return { type: "application/yaml", text: [more.trimEnd(), ...lines].join("\n") };
}

function parsedList(text) {
  const parts = text.replace(/^\[|\]$/g, "").split(/[\s,]+/);
  return parts.filter((part) => part !== "").map(parsedNumber);
}

function parsedNumber(text) {
  if (/^-?(0|[1-9]\d*)$/.test(text)) return new Verbatim(text);
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
