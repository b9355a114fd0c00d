// Series over each other. The address says everything: ?s=d/<device>/<metric>&s=g/<group>/<metric>&f=avg&b=1h&range=24h&compare=previous
import { get, toast } from "./api.js";
import { amount } from "./amount.js";
import { Chart, seriesColour } from "./chart.js";
import { iso, pace, rangePicker, readRange } from "./range.js";
import { ask, bucketMs, drawable, gapMs, pointsFor, steadyBucket } from "./series.js";
import { zone } from "./times.js";

const MOST = 8;
const LOOK_MS = 200;
const element = (id) => document.getElementById(id);
const chart = new Chart(element("chart"), {
  height: matchMedia("(max-width: 960px)").matches ? 320 : 440,
  zoom: (start, end) => picker.zoom(start, end), reset: () => picker.back(),
});
let asking = null;
let timer = 0;

// --- the address -----------------------------------------------------------------------------------------------------

/** "d/pump-7/temperature" → {kind, owner, metric}; a group's path has slashes, names have none. */
function parsed(text) {
  const [kind, ...rest] = text.split("/");
  return { text, kind, metric: rest.at(-1), owner: rest.slice(0, -1).join("/") };
}

function state() {
  const query = new URLSearchParams(location.search);
  return {
    series: query.getAll("s").map(parsed).filter((one) => one.owner && one.metric && "dg".includes(one.kind)).slice(0, MOST),
    fn: query.get("f") || "avg", bucket: query.get("b") || "", compare: query.get("compare") === "previous",
  };
}

function change(edit) {
  const query = new URLSearchParams(location.search);
  edit(query);
  history.pushState(null, "", `?${query}`);
  show();
}

const set = (name, value) => change((query) => (value ? query.set(name, value) : query.delete(name)));

// --- asking ----------------------------------------------------------------------------------------------------------

/**
 * What fits the screen: of one device as many points as there are pixels. Devices of a group do not speak at the same
 * moment, and periods are compared bucket by bucket: both want buckets in which everybody has spoken.
 */
function parameters(one, { fn, bucket, compare }, range, width) {
  const asked = [[one.kind === "d" ? "device" : "group", one.owner], ["metric", one.metric], ["tz", zone()]];
  asked.push(["functions", fn === "avg" ? "avg,min,max" : fn]);
  const steady = bucket || (one.kind === "g" || compare || fn !== "avg" ? steadyBucket(range) : "");
  asked.push(steady ? ["bucket", steady] : ["points", pointsFor(width)]);
  if (compare) asked.push(["compare", "previous"]);
  return asked;
}

async function show() {
  clearTimeout(timer);
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const chosen = state();
  fillIn(chosen);
  const range = readRange();
  element("nothing").hidden = chosen.series.length > 0;
  element("chart-box").hidden = element("legend").hidden = chosen.series.length === 0;
  if (!chosen.series.length) return;
  const width = element("chart").clientWidth;
  const answers = await Promise.allSettled(chosen.series.map((one) => ask(parameters(one, chosen, range, width), range, signal)));
  if (signal.aborted) return;
  const failed = answers.filter((each) => each.status === "rejected").map((each) => each.reason.message);
  element("trouble").hidden = failed.length === 0;
  element("trouble").textContent = [...new Set(failed)].join(" ");
  draw(chosen, range, answers.map((each) => (each.status === "fulfilled" ? each.value : null)));
  if (range.live) timer = setTimeout(() => { if (!document.hidden) show(); }, Math.max(10000, pace(range)));
}

function draw(chosen, range, answers) {
  const lines = [];
  answers.forEach((answer, place) => {
    const one = chosen.series[place];
    const label = `${one.owner} ${one.metric}`;
    const found = answer?.series[0];
    const drawn = found ? lineOf(found, chosen.fn, label) : { label, unit: "", time: [], avg: [] };
    const gap = gapMs(bucketMs(answer?.bucket), drawn);
    lines.push({ ...drawn, colour: place, gapMs: gap });
    if (chosen.compare && found?.previous) {
      const before = found.previous[chosen.fn] || found.previous.avg || [];
      lines.push({ label: `${label}, period before`, unit: drawn.unit, time: drawn.time, avg: before, dashed: true, colour: place, gapMs: gap });
    }
  });
  chart.show({ start: range.start, end: range.end, label: "of chosen series", series: lines, levels: [], alerts: [] });
  const made = answers.find(Boolean);
  element("source").textContent = made ? `${made.bucket === "raw" ? "every reading" : `buckets of ${made.bucket}`}, from ${made.source}` : "";
  legend(lines, chosen);
}

function lineOf(found, fn, label) {
  if (found.value || fn === "avg") return drawable(found, label);
  return { label, unit: fn === "count" ? "readings" : found.unit, time: found.time, avg: found[fn] || [] };
}

// --- what is chosen --------------------------------------------------------------------------------------------------

function fillIn(chosen) {
  element("function").value = chosen.fn;
  element("bucket").value = chosen.bucket;
  element("compare").checked = chosen.compare;
  element("take").hidden = chosen.series.length === 0;
  if (!chosen.series.length) return;
  element("csv").href = csvAddress(chosen);
  // Only who may make exports has it.
  const save = element("save-query");
  if (save) save.href = `${save.dataset.to}?${csvAddress(chosen).split("?")[1]}`;
}

/** All series in one file, in the zone that is shown; what fits the screen becomes a bucket of that width. */
function csvAddress({ series, fn, bucket }) {
  const range = readRange();
  const query = new URLSearchParams();
  for (const one of series) query.append(one.kind === "d" ? "device" : "group", one.owner);
  for (const metric of new Set(series.map((one) => one.metric))) query.append("metric", metric);
  query.set("functions", fn === "avg" ? "avg,min,max" : fn);
  query.set("bucket", bucket || steadyBucket(range, 5000));
  query.set("tz", zone());
  query.set("start", iso(range.start));
  query.set("end", iso(range.end));
  query.set("format", "csv");
  return `/api/v1/aggregates?${query}`;
}

function legend(lines, chosen) {
  const rows = lines.map((line) => {
    const values = line.avg.filter((value) => value !== null && value !== undefined);
    const row = document.createElement("tr");
    const key = Object.assign(document.createElement("span"), { className: "key" });
    key.style.background = line.dashed ? `repeating-linear-gradient(90deg, ${seriesColour(line.colour)} 0 4px, transparent 4px 7px)` : seriesColour(line.colour);
    const name = Object.assign(document.createElement("td"), { className: "first" });
    name.append(key, line.label);
    row.append(name);
    const mean = values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
    const lowest = values.length ? values.reduce((a, b) => Math.min(a, b)) : null;
    const highest = values.length ? values.reduce((a, b) => Math.max(a, b)) : null;
    for (const [name, value] of [["last", values.at(-1)], ["lowest", lowest], ["average", mean], ["highest", highest]]) {
      const cell = Object.assign(document.createElement("td"), { className: "num", textContent: `${amount(value)} ${line.unit}` });
      cell.dataset.label = name;
      row.append(cell);
    }
    const last = document.createElement("td");
    last.className = "tight";
    if (!line.dashed) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "tool", textContent: "✕", title: "Remove" });
      button.setAttribute("aria-label", `Remove ${line.label}`);
      button.addEventListener("click", () => removeSeries(chosen.series[line.colour].text));
      last.append(button);
    }
    row.append(last);
    return row;
  });
  element("legend").tBodies[0].replaceChildren(...rows);
}

function removeSeries(text) {
  change((query) => {
    const left = query.getAll("s").filter((each) => each !== text);
    query.delete("s");
    for (const each of left) query.append("s", each);
  });
}

// --- choosing --------------------------------------------------------------------------------------------------------

const form = element("add-series");
let kind = "d";
let looking = 0;

form.querySelector(".segments").addEventListener("click", (event) => {
  if (!event.target.dataset.kind) return;
  kind = event.target.dataset.kind;
  for (const button of form.querySelectorAll("[data-kind]")) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
  for (const part of form.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== kind;
  offerMetrics();
});

const owner = () => (kind === "d" ? element("add-device") : element("add-group")).value.trim();

async function offerDevices() {
  try {
    const found = await get(`/explore/metrics.json?${new URLSearchParams({ q: element("add-device").value.trim() })}`);
    element("found-devices").replaceChildren(...found.devices.map((name) => Object.assign(document.createElement("option"), { value: name })));
  } catch (error) {
    toast(error.message);
  }
}

async function offerMetrics() {
  const chooser = element("add-metric");
  const button = form.querySelector("[type=submit]");
  const name = owner();
  let found = { metrics: [] };
  if (name) {
    try {
      found = await get(`/explore/metrics.json?${new URLSearchParams({ [kind === "d" ? "device" : "group"]: name })}`);
    } catch (error) {
      toast(error.message);
    }
  }
  if (name !== owner()) return;
  const none = name ? "It has sent nothing yet" : `Choose a ${kind === "d" ? "device" : "group"} first`;
  const options = found.metrics.length ? found.metrics : [""];
  chooser.replaceChildren(...options.map((each) => Object.assign(document.createElement("option"), { value: each, textContent: each || none })));
  chooser.disabled = button.disabled = found.metrics.length === 0;
}

element("add-device").addEventListener("input", () => {
  clearTimeout(looking);
  looking = setTimeout(() => { offerDevices(); offerMetrics(); }, LOOK_MS);
});
element("add-device").addEventListener("focus", offerDevices, { once: true });
element("add-group").addEventListener("change", offerMetrics);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = `${kind}/${owner()}/${element("add-metric").value}`;
  const known = state().series.map((one) => one.text);
  if (known.includes(text)) return toast("It is in the chart already.");
  if (known.length >= MOST) return toast(`${MOST} series are the most that can be told apart: remove one first.`);
  change((query) => query.append("s", text));
  return undefined;
});
element("function").addEventListener("change", (event) => set("f", event.target.value === "avg" ? "" : event.target.value));
element("bucket").addEventListener("change", (event) => set("b", event.target.value));
element("compare").addEventListener("change", (event) => set("compare", event.target.checked ? "previous" : ""));

// --- taking away -----------------------------------------------------------------------------------------------------

element("share").addEventListener("click", async () => {
  // Whoever opens it later shall see what is here now: both ends instead of "the last 6 hours".
  const range = readRange();
  const query = new URLSearchParams(location.search);
  query.delete("range");
  query.set("start", iso(range.start));
  query.set("end", iso(range.end));
  const address = `${location.origin}${location.pathname}?${query}`;
  try {
    await navigator.clipboard.writeText(address);
    toast("The address of this view is copied.");
  } catch {
    history.pushState(null, "", `?${query}`);
    toast("Copy it from the address bar: it shows exactly this.");
  }
});
element("png").addEventListener("click", async () => {
  const title = state().series.map((one) => `${one.owner} ${one.metric}`).join(", ");
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(await chart.png(title)), download: "chart.png" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});

const picker = rangePicker(() => show());
document.addEventListener("visibilitychange", () => { if (!document.hidden) show(); });
