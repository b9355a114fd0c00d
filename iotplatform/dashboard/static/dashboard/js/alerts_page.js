// The page of one alert: its buttons, the comment box, and the chart around it.
import { ApiError, post, toast } from "./api.js";
import { alertOf, start } from "./alerts_actions.js";
import { readings } from "./alerts_series.js";
import { Chart } from "./chart.js";
import { refresh } from "./live.js";
import { now } from "./times.js";

const top = document.getElementById("alert-top");
const me = document.querySelector("#assign-who option")?.value;

top.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const head = top.querySelector("[data-id]");
  start(button.dataset.act, { ids: [Number(head.dataset.id)], alerts: [alertOf(head)] }, me);
});

const form = document.getElementById("comment-form");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = form.querySelector("textarea");
  const wrong = form.querySelector("[data-error]");
  wrong.hidden = true;
  if (!text.value.trim()) return text.focus();
  try {
    await post(`/api/v1/alerts/${top.querySelector("[data-id]").dataset.id}/comment`, { text: text.value.trim() });
    text.value = "";
    text.blur();
    toast("Commented.", undefined, 4);
    await refresh("alert-log");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    wrong.textContent = error.message;
    wrong.hidden = false;
  }
  return undefined;
});
form?.querySelector("textarea").addEventListener("click", (event) => event.target.focus());

// --- the chart ------------------------------------------------------------------------------------------------------

const MINUTE = 60000;
const place = document.getElementById("alert-chart");
let times = 1;
let custom = null;

/** What is looked at: the alert with room on both sides, so many times wider where that is asked for. */
function range() {
  if (custom) return custom;
  const facts = document.getElementById("alert-facts").dataset;
  const since = facts.since ? Number(facts.since) / 1000 : Date.parse(facts.opened);
  const end = facts.ended ? Date.parse(facts.ended) : now();
  const room = Math.max(15 * MINUTE, 0.25 * (end - since)) * times;
  return [since - room, Math.min(now(), end + room)];
}

async function draw(chart) {
  const [start, end] = range();
  const facts = document.getElementById("alert-facts").dataset;
  const { device, metric, unit, condition } = place.dataset;
  const series = await readings(device, metric, start, end, place.clientWidth);
  const lines = JSON.parse(place.dataset.lines).filter(([, , clears]) => !clears);
  chart.show({
    start, end, label: `${metric} of ${device}`,
    series: [{ ...series, unit: series.unit || unit }],
    levels: lines.map(([trigger, severity]) => ({ severity, condition, trigger })),
    alerts: [{ severity: facts.severity, start: Date.parse(facts.opened), end: facts.ended ? Date.parse(facts.ended) : null }],
  });
}

if (place) {
  const redraw = async () => {
    try {
      await draw(chart);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      chart.show({ start: range()[0], end: range()[1], series: [], label: place.dataset.metric, empty: error.message });
    }
  };
  const chart = new Chart(place, {
    height: 280,
    zoom: (start, end) => { custom = [start, end]; redraw(); },
    reset: () => { custom = null; redraw(); },
  });
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      times = Number(button.dataset.zoom);
      custom = null;
      for (const each of document.querySelectorAll("[data-zoom]")) each.setAttribute("aria-pressed", String(each === button));
      redraw();
    });
  }
  redraw();
  setInterval(() => { if (!custom && !document.hidden && !document.getElementById("alert-facts").dataset.ended) redraw(); }, 10000);
}
