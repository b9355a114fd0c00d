// The editor of a threshold: says what it means and shows what it would have done while one types, and saves it.
import { ApiError, post, remove, toast } from "./api.js";
import { Backtest } from "./backtest.js";
import { Form } from "./thresholds_form.js";
import { searching } from "./thresholds_search.js";

const WAIT_MS = 350;
const PREVIEW_WAIT_MS = 500;

const element = document.getElementById("threshold-form");
const maySave = Boolean(element.dataset.maySave);
const box = document.getElementById("sentence");
const backtest = new Backtest(document.querySelector(".preview"));
const form = new Form(element, changed);
let waiting = 0;
let question = 0;
let saved = "";
let tried = false; // once somebody has tried to save, what is missing is told while one types

// --- while one types ------------------------------------------------------------------------------------------------

function changed() {
  box.classList.add("is-draft");
  clearTimeout(waiting);
  waiting = setTimeout(look, WAIT_MS);
}

async function look() {
  const mine = (question += 1);
  const draft = form.read();
  if (!form.complete && !tried) {
    form.clearErrors();
    return;
  }
  try {
    const said = await post("/api/v1/thresholds/check", { threshold: draft.name ? draft : { ...draft, name: "Preview" } });
    if (mine !== question) return;
    form.clearErrors();
    tell(said);
    setTimeout(() => { if (mine === question) backtest.run(named(draft), said.series.devices); }, PREVIEW_WAIT_MS - WAIT_MS);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (mine !== question) return;
    if (error.errors.length) form.showErrors(error.errors);
    else backtest.say(error.message);
  }
}

const named = (draft) => (draft.name ? draft : { ...draft, name: "Preview" });

function tell({ sentence, unit, series }) {
  box.classList.remove("is-draft");
  box.querySelector("[data-sentence]").textContent = sentence;
  backtest.unit = unit;
  element.querySelector("[data-unit]").textContent = unit ? `values are in ${unit}` : "";
  const many = series.matching.toLocaleString("en-GB");
  element.querySelector("[data-matching]").textContent =
    series.matching === 0 ? "No enabled device there has sent this metric yet: it is judged from the first reading on."
      : `Judged on ${many} series${series.matching === 1 ? "" : `, such as ${series.devices.slice(0, 3).join(", ")}`}.`;
}

// --- saving ---------------------------------------------------------------------------------------------------------

element.addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});

async function save(over = false) {
  tried = true;
  const button = document.querySelector("[data-save]");
  const draft = form.read();
  button.disabled = true;
  try {
    const made = await send(draft, over);
    saved = JSON.stringify(form.read());
    if (element.dataset.id) location.reload();
    else location.assign(`/thresholds/${made.id}/`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 412) overtaken();
    else refused(error);
    button.disabled = false;
  }
}

/** PUT names the version that the form was filled from: a newer one is not overwritten unseen. */
async function send(draft, over) {
  const { id, etag } = element.dataset;
  if (!id) return post("/api/v1/thresholds", draft);
  const headers = { "Content-Type": "application/json", "X-CSRFToken": document.querySelector('meta[name="csrf-token"]').content };
  if (!over) headers["If-Match"] = etag;
  const answer = await fetch(`/api/v1/thresholds/${id}`, { method: "PUT", headers, body: JSON.stringify(draft) });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, said);
  return said;
}

function refused(error) {
  if (!error.errors.length) {
    toast(error.message);
    return;
  }
  const first = form.showErrors(error.errors);
  first?.scrollIntoView({ block: "center", behavior: "instant" });
  first?.parentElement.querySelector("input, select, textarea")?.focus({ preventScroll: true });
}

async function overtaken() {
  const bar = document.getElementById("overtaken");
  bar.querySelector("[data-overtaken-text]").textContent =
    `${await lastToChange()} has changed this threshold since you opened it. Nothing of yours is saved yet.`;
  bar.hidden = false;
  bar.scrollIntoView({ block: "center" });
  bar.querySelector("button").focus({ preventScroll: true });
}

/** Who stands first in the history of the page as it is now. */
async function lastToChange() {
  const otherwise = "Somebody";
  try {
    const answer = await fetch(location.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return page.querySelector("[data-changed-by]")?.dataset.changedBy || otherwise;
  } catch (error) {
    console.info("Who changed it could not be asked:", error);
    return otherwise;
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-load-theirs]")) {
    saved = JSON.stringify(form.read());
    location.reload();
  }
  if (event.target.closest("[data-save-mine]")) save(true);
});

const dialog = document.getElementById("delete-dialog");
dialog?.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const wrong = dialog.querySelector("[data-error]");
  try {
    await remove(`/api/v1/thresholds/${element.dataset.id}`);
    saved = JSON.stringify(form.read());
    location.assign("/thresholds/");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    wrong.textContent = error.message;
    wrong.hidden = false;
  }
});

window.addEventListener("beforeunload", (event) => {
  if (maySave && JSON.stringify(form.read()) !== saved) event.preventDefault();
});

form.fill(JSON.parse(document.getElementById("draft").textContent));
saved = JSON.stringify(form.read());
searching();
look();
