// Modal dialogs.

import { h } from "./dom.js";

/** Whether the user confirmed; `verb` is on the button. */
export function confirmed(question, verb) {
  return opened([h("h2", { id: "question" }, question)], verb);
}

/** The token that the user typed, or null. */
export async function promptForToken(wasRejected) {
  const input = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const reason = wasRejected ? "The controller rejected this token." : "This controller requires a token.";
  const content = [
    h("h2", { id: "question" }, "Token"),
    h("p", {}, `${reason} It is the controller's AIRTOLL_TOKEN. The page keeps it until this tab is closed.`),
    h("label", { for: "token" }, "Token"),
    input,
  ];
  return (await opened(content, "Enter")) ? input.value.trim() : null;
}

/** Whether the dialog was closed by its main button. */
function opened(content, verb) {
  return new Promise((resolve) => {
    const cancel = h("button", { type: "button", onclick: () => dialog.close("") }, "Cancel");
    const main = h("button", { class: "main", value: "yes" }, verb);
    const form = h("form", { method: "dialog" }, content, h("div", { class: "buttons" }, cancel, main));
    const onclose = () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    };
    const dialog = h("dialog", { "aria-labelledby": "question", onclose }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}
