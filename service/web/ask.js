// Questions that stop the page until they are answered: a name to give, something to give up.

import { h, put } from "./dom.js";
import { problemCard } from "./parts.js";

/**
 * Asks for a name and does `act(name)` with it; the dialog stays open and tells why when that is
 * refused. Resolves to the name, or null where it was left.
 */
export function askName({ title, label, value, button }, act) {
  const input = h("input", {
    id: "asked-name",
    required: true,
    value,
    maxlength: 64,
    pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}",
    title: "Letters, digits, '.', '_' and '-', beginning with a letter or digit",
    autocomplete: "off",
  });
  const fields = [h("label", { for: "asked-name" }, label), input];
  return ask(title, fields, button, "primary", async () => {
    await act(input.value);
    return input.value;
  });
}

/** Asks whether something is to be given up and does `act()`. Resolves to whether it was done. */
export async function askWhether({ title, text, button }, act) {
  const done = await ask(title, [h("p", {}, text)], button, "danger", async () => {
    await act();
    return true;
  });
  return done === true;
}

function ask(title, fields, button, kind, act) {
  const message = h("div", {});
  return new Promise((resolve) => {
    let answer = null;
    const go = h("button", { type: "submit", class: kind }, button);
    const submit = async (event) => {
      event.preventDefault();
      go.disabled = true;
      try {
        answer = await act();
        dialog.close();
      } catch (error) {
        put(message, problemCard(error));
      } finally {
        go.disabled = false;
      }
    };
    const dialog = h(
      "dialog",
      { class: "ask card", "aria-labelledby": "asked-title" },
      h(
        "form",
        { on: { submit } },
        h("h2", { id: "asked-title" }, title),
        fields,
        message,
        h(
          "p",
          { class: "row" },
          // The harmless one comes first, so that Enter on a fresh dialog does no harm.
          h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"),
          go,
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
