// Numbers as people read them.

const WHOLE = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const FIGURE = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 4 });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const SIZES = ["B", "kB", "MB", "GB", "TB"];
const NONE = "–";

/** A count, with commas. */
export function count(value) {
  return value === null || value === undefined ? NONE : WHOLE.format(value);
}

/** A measured value in four digits. */
export function figure(value) {
  if (value === null || value === undefined) return NONE;
  return value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential(2).replace("-", "−") : FIGURE.format(value);
}

/** Bytes with a fitting unit. */
export function bytes(value) {
  const power = value < 1000 ? 0 : Math.min(SIZES.length - 1, Math.floor(Math.log10(value) / 3));
  return power ? `${FIGURE.format(value / 1000 ** power)} ${SIZES[power]}` : `${FIGURE.format(value)} B`;
}

/** A moment on the clock of whoever looks. */
export function moment(text) {
  return text ? MOMENT.format(new Date(text)) : NONE;
}

/** A metric's name in words. */
export function words(name) {
  return name.replace(/_bps_hz$/, "").replaceAll("_", " ").replace(/\bd2d\b/, "D2D");
}
