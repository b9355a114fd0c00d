// The keyboard: / search, g and a letter to go somewhere, j and k along [data-row], Enter opens, other letters press the
// [data-key] of the current row or of the page, ? says all that.

let going = 0;

function rows() {
  return [...document.querySelectorAll("[data-row]")].filter((row) => row.offsetParent !== null);
}

/** The row that j and k stand at, if any. */
export function currentRow() {
  return document.querySelector("[data-row].is-current");
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(currentRow());
  const next = all[Math.max(0, Math.min(all.length - 1, at === -1 ? (step > 0 ? 0 : all.length - 1) : at + step))];
  for (const row of all) row.classList.toggle("is-current", row === next);
  const link = next.querySelector("a, button") || next;
  link.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function press(key) {
  const row = currentRow();
  const button = row?.querySelector(`[data-key="${CSS.escape(key)}"]`)
    || document.querySelector(`[data-key="${CSS.escape(key)}"]:not([data-row] *)`);
  if (!button || button.disabled) return false;
  button.click();
  return true;
}

function help() {
  const dialog = document.getElementById("keys-help");
  if (dialog && !dialog.open) dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const field = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (field) {
    if (event.key === "Escape") field.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if (Date.now() - going < 1500) {
    going = 0;
    const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      link.click();
      return;
    }
  }
  const acts = {
    "/": () => document.querySelector("[data-search]")?.focus(),
    g: () => { going = Date.now(); },
    j: () => move(1),
    k: () => move(-1),
    "?": help,
  };
  // A focused link opens itself; where the focus was lost (to a line that went by itself), the current row still is one.
  if (event.target === document.body && currentRow()) acts.Enter = () => currentRow().querySelector("a")?.click();
  if (acts[event.key]) {
    event.preventDefault();
    acts[event.key]();
  } else if (event.key.length === 1 && press(event.key)) {
    event.preventDefault();
  }
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) document.getElementById(opener.dataset.open)?.showModal();
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest("dialog")?.close();
  if (event.target.matches("dialog[open]")) event.target.close(); // the backdrop
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
