// Questions that stand in front of the page.

import { h } from "./element.js";

/** Whether it was agreed to. */
export async function confirmed(question, verb) {
  const answer = await asked([h("h2", { id: "question" }, question)], verb);
  return answer !== null;
}

/** The token that was typed, or null. */
export async function askedForToken(wasRefused) {
  const input = h("input", { id: "token", type: "password", autocomplete: "off", required: true });
  const why = wasRefused ? "The controller did not take this token." : "This controller asks for a token.";
  const answer = await asked(
    [
      h("h2", { id: "question" }, "Token"),
      h("p", {}, `${why} It is the controller's AIRTOLL_TOKEN, and is kept until this tab is closed.`),
      h("label", { for: "token" }, "Token"),
      input,
    ],
    "Enter",
  );
  return answer === null ? null : input.value.trim();
}

function asked(content, verb) {
  return new Promise((resolve) => {
    const close = () => dialog.close("");
    const dialog = h(
      "dialog",
      { "aria-labelledby": "question", onclose: () => left() },
      h(
        "form",
        { method: "dialog" },
        content,
        h(
          "div",
          { class: "buttons" },
          h("button", { type: "button", onclick: close }, "Cancel"),
          h("button", { class: "main", value: "yes" }, verb),
        ),
      ),
    );
    const left = () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? "yes" : null);
    };
    document.body.append(dialog);
    dialog.showModal();
  });
}
