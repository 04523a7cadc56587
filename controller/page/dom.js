// Elements from data. Text is always set as text: no module of this page parses data as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Attributes that begin with `on` are listeners; those that are null or false are left out. */
export function h(name, attributes = {}, ...children) {
  return completed(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function s(name, attributes = {}, ...children) {
  return completed(document.createElementNS(SVG, name), attributes, children);
}

/** Replace an element's children. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(isPresent));
}

/** A name with possible line breaks after `_`, `/` and `-`. */
export function breakable(name) {
  const parts = name.split(/(?<=[_/-])/);
  return parts.flatMap((part, n) => (n ? [document.createElement("wbr"), part] : [part]));
}

/** Set an element's text, only if it changes: a live region is announced again at every write. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function completed(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name !== "value" && isPresent(value)) element.setAttribute(name, value === true ? "" : String(value));
  }
  fill(element, children);
  if (attributes.value !== undefined) element.value = attributes.value; // a select needs its options first
  return element;
}

function isPresent(value) {
  return value !== null && value !== undefined && value !== false;
}
