// Charts of a device, and what its tabs do.
import { get, post, remove, toast } from "./api.js";
import { Chart } from "./chart.js";
import { curlFor } from "./curl.js";
import { refresh } from "./live.js";
import { iso, pace, rangePicker, readRange } from "./range.js";
import { ask, bucketMs, drawable, gapMs, pointsFor } from "./series.js";

const data = JSON.parse(document.getElementById("chart-data").textContent);
const path = `/devices/${encodeURIComponent(data.device)}`;
const SOURCES = { raw: "readings", minute: "minutes", hour: "hours", day: "days" };
const charts = new Map();
let picker = null;
let asking = null;
let timer = 0;

function build() {
  for (const metric of data.metrics) {
    const card = document.querySelector(`.chart-card[data-metric="${CSS.escape(metric.name)}"]`);
    const chart = new Chart(card.querySelector("[data-chart]"), {
      height: 220, sync: "device", zoom: (start, end) => picker.zoom(start, end), reset: () => picker.back(),
    });
    charts.set(metric.name, { card, chart, metric });
  }
  picker = rangePicker(() => { load(); followRange(); });
}

async function load() {
  clearTimeout(timer);
  asking?.abort();
  asking = new AbortController();
  const range = readRange();
  const width = document.querySelector("[data-chart]").clientWidth;
  const wanted = [["device", data.device], ...data.metrics.map((metric) => ["metric", metric.name]),
    ["functions", "avg,min,max"], ["points", pointsFor(width)]];
  try {
    const [answer, alerts] = await Promise.all([
      ask(wanted, range, asking.signal),
      get(`${path}/alerts.json?${new URLSearchParams({ start: iso(range.start), end: iso(range.end) })}`, asking.signal)
        .catch((error) => { if (error.name === "AbortError") throw error; return { alerts: [] }; }),
    ]);
    for (const each of charts.values()) show(each, answer, alerts.alerts, range);
  } catch (error) {
    if (error.name === "AbortError") return;
    for (const { card } of charts.values()) card.querySelector("[data-source]").textContent = error.message;
  }
  if (range.live) timer = setTimeout(() => (document.hidden ? load.later() : load()), pace(range));
}
load.later = () => document.addEventListener("visibilitychange", load, { once: true });

function show({ card, chart, metric }, answer, alerts, range) {
  const found = answer.series.find((one) => one.metric === metric.name);
  const one = found ? drawable(found, metric.name) : { label: metric.name, unit: metric.unit, time: [], avg: [] };
  chart.show({
    start: range.start, end: range.end, label: `${metric.name} of ${data.device}`, series: [one],
    gapMs: gapMs(bucketMs(answer.bucket), one, metric.interval), steps: metric.boolean,
    levels: metric.levels, alerts: alerts.filter((alert) => alert.metric === metric.name),
  });
  const made = answer.bucket === "raw" ? "every reading" : `average and range of ${answer.bucket}, from ${SOURCES[answer.source] || answer.source}`;
  card.querySelector("[data-source]").textContent = answer.stale ? `${made} (stale)` : made;
}

/** Links that show the same range. */
function followRange() {
  const query = new URLSearchParams(location.search);
  for (const link of document.querySelectorAll("[data-tab]")) {
    query.set("tab", link.dataset.tab);
    link.href = `?${query}#tabs`;
  }
  const range = readRange();
  for (const link of document.querySelectorAll("[data-csv]")) {
    const address = new URL(link.href);
    address.searchParams.set("start", iso(range.start));
    address.searchParams.set("end", iso(range.end));
    link.href = address.href;
  }
}

// --- tabs ------------------------------------------------------------------------------------------------------------

const read = (id) => JSON.parse(document.getElementById(id).textContent);

async function done(button, work, text) {
  button.disabled = true;
  try {
    await work();
    toast(text);
  } catch (error) {
    toast(error.message);
    button.disabled = false;
  }
}

document.addEventListener("click", (event) => {
  const refused = event.target.closest("[data-refused]");
  if (refused) {
    const { refused: id, do: what } = refused.dataset;
    done(refused, () => post(`/api/v1/quarantine/${id}/${what}`).finally(() => refresh("tab")),
      what === "replay" ? "Sent through intake again." : "Discarded.");
  }
  const revoked = event.target.closest("[data-revoke]");
  if (revoked) {
    const key = `/api/v1/devices/${encodeURIComponent(data.device)}/keys/${revoked.dataset.revoke}`;
    if (revoked.dataset.sure) {
      done(revoked, async () => { await remove(key); location.reload(); }, "Revoked: it stops working within seconds.");
    } else {
      revoked.dataset.sure = "yes";
      revoked.textContent = "Really revoke?";
    }
  }
  const issue = event.target.closest("#issue-key");
  if (issue) done(issue, makeKey, "A key was made.");
});

async function makeKey() {
  const made = await post(`/api/v1/devices/${encodeURIComponent(data.device)}/keys`, { name: "" });
  document.getElementById("key").textContent = made.key;
  document.getElementById("curl").textContent = curlFor(read("site"), made.key, read("example"));
  document.getElementById("new-key").hidden = false;
}

const command = document.querySelector("[data-curl]");
if (command) command.textContent = curlFor(read("site"), "YOUR_KEY", read("example"));

if (document.getElementById("charts")) {
  build();
} else {
  // The first reading brings the charts.
  document.addEventListener("live:updated", () => { if (document.querySelector(".value-tile")) location.reload(); });
}
