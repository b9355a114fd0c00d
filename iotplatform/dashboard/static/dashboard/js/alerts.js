// The inbox: selection and the place of the keyboard survive every update; buttons and keys act on one or on many.
import { ApiError, get, toast } from "./api.js";
import { alertOf, start, undoLast } from "./alerts_actions.js";
import { currentRow } from "./keys.js";

const SPARKS_AT_ONCE = 25;
const SPARK_SECONDS = 30;

const part = document.getElementById("inbox");
const bulk = document.getElementById("bulk");
const selected = new Set();
let everything = false; // all that match, shown or not
let lastPicked = null;
let current = null;

const panel = () => part.querySelector("[data-filter]");
const rows = () => [...part.querySelectorAll("tr[data-id]")];
const me = document.body.querySelector("#assign-who option")?.value;

// --- selection ------------------------------------------------------------------------------------------------------

function target() {
  if (everything) return { filter: JSON.parse(panel().dataset.filter), count: Number(panel().dataset.total), alerts: shown() };
  return { ids: [...selected].map(Number), alerts: shown() };
}

function shown() {
  return rows().filter((row) => selected.has(row.dataset.id)).map(alertOf);
}

function pick(row, wanted) {
  if (wanted) selected.add(row.dataset.id);
  else selected.delete(row.dataset.id);
  everything = false;
}

function paint() {
  const all = rows();
  const here = new Set(all.map((row) => row.dataset.id));
  for (const id of selected) if (!here.has(id)) selected.delete(id);
  if (!selected.size) everything = false;
  for (const row of all) {
    const chosen = selected.has(row.dataset.id);
    row.classList.toggle("is-picked", chosen);
    row.classList.toggle("is-current", row.id === current);
    const box = row.querySelector("[data-select]");
    if (box) box.checked = chosen;
  }
  const head = part.querySelector("[data-select-shown]");
  if (head) {
    head.checked = all.length > 0 && selected.size === all.length;
    head.indeterminate = selected.size > 0 && selected.size < all.length;
  }
  if (bulk) paintBulk(all.length);
}

function paintBulk(shownNow) {
  const total = Number(panel()?.dataset.total || 0);
  bulk.hidden = selected.size === 0;
  document.body.classList.toggle("has-bulk", !bulk.hidden);
  bulk.querySelector("[data-bulk-count]").textContent = (everything ? total : selected.size).toLocaleString("en-GB");
  const more = bulk.querySelector("[data-select-matching]");
  more.hidden = everything || selected.size < shownNow || total <= shownNow;
  more.textContent = `Select all ${total.toLocaleString("en-GB")} that match`;
  for (const button of bulk.querySelectorAll('[data-bulk="silence"]')) button.disabled = everything;
}

part.addEventListener("click", (event) => {
  const box = event.target.closest("[data-select]");
  if (!box) return;
  const row = box.closest("tr");
  const all = rows();
  const range = event.shiftKey && lastPicked && all.some((each) => each.id === lastPicked);
  const [from, to] = range ? [all.findIndex((each) => each.id === lastPicked), all.indexOf(row)].sort((a, b) => a - b) : [0, -1];
  for (const each of range ? all.slice(from, to + 1) : [row]) pick(each, box.checked);
  lastPicked = row.id;
  paint();
});
part.addEventListener("change", (event) => {
  if (!event.target.matches("[data-select-shown]")) return;
  for (const row of rows()) pick(row, event.target.checked);
  paint();
});
bulk?.addEventListener("click", (event) => {
  if (event.target.closest("[data-bulk-clear]")) selected.clear();
  if (event.target.closest("[data-select-matching]")) everything = true;
  paint();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open], details.menu[open]") || !selected.size) return;
  selected.clear();
  paint();
});

// --- actions --------------------------------------------------------------------------------------------------------

// keys.js presses the button of the current row; where rows are selected, the key means those.
let byKey = "";
document.addEventListener("keydown", (event) => {
  byKey = event.key;
  setTimeout(() => { byKey = ""; });
}, true);

part.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) {
    const row = button.closest("tr");
    const one = { ids: [Number(row.dataset.id)], alerts: [alertOf(row)] };
    const keyed = byKey === button.dataset.key;
    button.closest("details.menu")?.removeAttribute("open");
    run(button.dataset.act, selected.size && (keyed || selected.has(row.dataset.id)) ? target() : one);
  }
  const group = event.target.closest("[data-act-group]");
  if (group) run(group.dataset.actGroup, { filter: JSON.parse(group.dataset.filter), count: Number(group.dataset.count) });
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-bulk]");
  if (button && !selected.size) toast("Choose alerts first: j and k move along them, x selects.", undefined, 5);
  else if (button) run(button.dataset.bulk, target());
  if (event.target.closest("[data-undo]")) undoLast();
});

async function run(action, chosen) {
  if (await start(action, chosen, me) === true && action !== "unacknowledge") {
    selected.clear();
    everything = false;
    paint();
  }
}

// --- small charts ---------------------------------------------------------------------------------------------------

const drawn = new Map(); // id → [ms when, SVG]
const wanted = new Set();
let asking = 0;
const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) want(entry.target);
}, { rootMargin: "200px" });

function want(box) {
  const known = drawn.get(box.dataset.spark);
  if (known && !box.firstChild) box.innerHTML = known[1];
  if (known && Date.now() - known[0] < SPARK_SECONDS * 1000) return;
  wanted.add(box.dataset.spark);
  clearTimeout(asking);
  asking = setTimeout(askSparks, 60);
}

async function askSparks() {
  const ids = [...wanted].slice(0, SPARKS_AT_ONCE);
  for (const id of ids) wanted.delete(id);
  if (!ids.length) return;
  try {
    const found = await get(`/alerts/sparks?${ids.map((id) => `id=${id}`).join("&")}`);
    for (const [id, svg] of Object.entries(found)) {
      drawn.set(id, [Date.now(), svg]);
      const box = part.querySelector(`[data-spark="${id}"]`);
      if (box) box.innerHTML = svg;
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    console.info("Small charts could not be drawn; the next update tries again:", error);
  }
  if (wanted.size) await askSparks();
}

function watchSparks() {
  sight.disconnect();
  for (const box of part.querySelectorAll("[data-spark]")) sight.observe(box);
}

// --- updates --------------------------------------------------------------------------------------------------------

document.addEventListener("focusin", () => { current = currentRow()?.id || current; });
document.addEventListener("keydown", () => setTimeout(() => { current = currentRow()?.id || null; }));
part.addEventListener("live:updated", () => {
  paint();
  watchSparks();
});
setInterval(watchSparks, SPARK_SECONDS * 1000);
paint();
watchSparks();
