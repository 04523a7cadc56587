// Elements from data. Text is always text: nothing here, or anywhere on the page, reads data as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; attributes that begin with `on` are listeners, those that are null or false are left out. */
export function h(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An SVG element. */
export function s(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/** The children of an element, replaced. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter(isThere));
}

/** A name that may be broken where its words end. */
export function breakable(name) {
  return name.split(/(?<=[_/-])/).flatMap((part, place) => (place ? [document.createElement("wbr"), part] : [part]));
}

/** The text of an element, touched only where it changes, so that nobody is told the same twice. */
export function tell(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name !== "value" && isThere(value)) element.setAttribute(name, value === true ? "" : String(value));
  }
  fill(element, children);
  if (attributes.value !== undefined) element.value = attributes.value; // a select takes it when its options are there
  return element;
}

function isThere(value) {
  return value !== null && value !== undefined && value !== false;
}
