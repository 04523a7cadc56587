// Numbers, times and names as people read them.

const INTEGER = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const FOUR_DIGITS = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 4 });
const PERCENT = new Intl.NumberFormat("en-GB", { style: "percent", maximumSignificantDigits: 3 });
const TIME = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const UNITS = ["B", "kB", "MB", "GB", "TB"];
const NONE = "–";

/** A count, with commas. */
export function integer(value) {
  return value === null || value === undefined ? NONE : INTEGER.format(value);
}

/** A measured value in four digits. */
export function number(value) {
  if (value === null || value === undefined) return NONE;
  const isTiny = value !== 0 && Math.abs(value) < 1e-4;
  return isTiny ? value.toExponential(2).replace("-", "−") : FOUR_DIGITS.format(value);
}

/** A share of a total, as a percentage. */
export function percent(part, total) {
  return total ? PERCENT.format(part / total) : NONE;
}

/** A number of bytes with a fitting unit. */
export function bytes(value) {
  const power = value < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(value) / 3));
  return power ? `${FOUR_DIGITS.format(value / 1000 ** power)} ${UNITS[power]}` : `${FOUR_DIGITS.format(value)} B`;
}

/** A time of day and date in the browser's time zone. */
export function dateTime(text) {
  return text ? TIME.format(new Date(text)) : NONE;
}

/** A metric's name in words. */
export function metricLabel(name) {
  return name.replace(/_bps_hz$/, "").replaceAll("_", " ").replace(/\bd2d\b/, "D2D");
}
