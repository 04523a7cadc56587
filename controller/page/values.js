// Values of a form as they are sent. Whole numbers stay as they were typed: JavaScript's are cut at 2^53.

/** Text that is sent as it is. */
export class Verbatim {
  constructor(text) {
    this.text = text;
  }
}

/** JSON, whole numbers of any length included. It is YAML's flow style at the same time. */
export function written(value) {
  if (value instanceof Verbatim) return value.text;
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, one]) => `${JSON.stringify(key)}: ${written(one)}`)
    .join(", ")}}`;
}

/** What was typed for a field of a JSON schema: numbers where they are numbers, else the text, for the controller to
 * say what is wrong with it. */
export function typed(text, schema) {
  const trimmed = text.trim();
  const types = typesOf(schema);
  if (trimmed === "" && types.includes("null")) return null;
  if (types.includes("array")) return listed(trimmed);
  if (types.includes("integer") || types.includes("number")) return numeric(trimmed);
  return text;
}

/** The types that a field may have. */
export function typesOf(schema) {
  return (schema.anyOf ?? [schema]).map((one) => one.type ?? "string");
}

/** A value as one types it. */
export function asTyped(value) {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.join(", ") : typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A configuration as text: the keys of the form behind what was written by hand, whose lines keep their numbers. */
export function body(form, more) {
  const text = more.trim();
  if (!text) return { type: "application/json", text: written(form) };
  if (text.startsWith("{")) return { type: "application/json", text: written({ ...form, ...JSON.parse(text) }) };
  const lines = Object.entries(form).map(([key, value]) => `${key}: ${written(value)}`);
  return { type: "application/yaml", text: [more.trimEnd(), ...lines].join("\n") };
}

function listed(text) {
  const parts = text.replace(/^\[|\]$/g, "").split(/[\s,]+/);
  return parts.filter((part) => part !== "").map(numeric);
}

function numeric(text) {
  if (/^-?(0|[1-9]\d*)$/.test(text)) return new Verbatim(text);
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
