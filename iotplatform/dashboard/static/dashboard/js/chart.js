// Series over time: average over a min–max band, threshold lines, alert intervals, gaps left open.
//
// const chart = new Chart(element, { height, sync, zoom(startMs, endMs), reset() });
// chart.show({ start, end, gapMs, label, series, levels, alerts, steps });
//
//   series: [{ label, unit, time: [ms…], avg: […], min: […], max: […], dashed, colour, gapMs }]   min, max may be missing
//   gapMs: the line stays open where nothing came for longer; steps: values hold until the next
//   levels: [{ severity, condition, trigger: number | [low, high] }]
//   alerts: [{ severity, start, end | null }]   ms; null: still going on
//
// Dragging calls zoom(), a double click reset(); charts of one `sync` share their crosshair.
import uPlot from "../vendor/uplot.esm.js";
import { amount } from "./amount.js";
import { token } from "./theme.js";
import { full, now, zone } from "./times.js";

const SHAPES = { info: "○", warning: "△", major: "◇", critical: "◆" };
const COLOURS = 8;

export { amount };

export const seriesColour = (place) => token(`--series-${(place % COLOURS) + 1}`);

function faded(colour, percent) {
  return `color-mix(in srgb, ${colour} ${percent}%, transparent)`;
}

/** Where nothing came for longer than `longest` ms, a null that keeps the line open. */
function withGaps(one, longest) {
  const { time, avg, min = avg, max = avg } = one;
  const out = [[], [], [], []];
  for (let at = 0; at < time.length; at += 1) {
    if (at && longest && time[at] - time[at - 1] > longest) {
      out[0].push(time[at - 1] + 1);
      for (const column of out.slice(1)) column.push(null);
    }
    out[0].push(time[at]);
    [max, min, avg].forEach((column, place) => out[place + 1].push(column[at] ?? null));
  }
  return out;
}

export class Chart {
  constructor(element, options = {}) {
    this.element = element;
    this.options = options;
    this.plot = null;
    this.shape = "";
    element.classList.add("chart");
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", "Chart, not loaded yet");
    this.tip = Object.assign(document.createElement("div"), { className: "chart-tip", hidden: true });
    this.none = Object.assign(document.createElement("div"), { className: "chart-empty", hidden: true });
    element.append(this.tip, this.none);
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(element);
    this.redraw = () => this.plot?.redraw(true, true);
    document.addEventListener("theme:changed", this.redraw);
    document.addEventListener("zone:changed", this.redraw);
  }

  get height() {
    return this.options.height || 220;
  }

  show(data) {
    this.data = data;
    const known = data.series.filter((one) => one.time.length);
    this.none.hidden = known.length > 0;
    this.none.textContent = data.empty || "No reading in this range.";
    const tables = data.series.map((one) => withGaps(one, one.gapMs ?? data.gapMs));
    const joined = tables.length > 1
      ? uPlot.join(tables, tables.map((table) => table.map(() => 2))) // 2: nulls of one series stay gaps
      : tables[0] || [[], [], [], []];
    this.element.setAttribute("aria-label", this.described(data));
    const shape = JSON.stringify(data.series.map((one) => [one.label, one.unit, one.dashed, one.colour, data.steps]));
    if (this.plot && shape === this.shape) {
      this.plot.batch(() => {
        this.plot.setData(joined, false);
        this.plot.setScale("x", { min: data.start, max: data.end });
        for (const unit of this.units()) this.plot.setScale(unit, { min: null, max: null });
      });
      return;
    }
    this.plot?.destroy();
    this.shape = shape;
    this.plot = new uPlot(this.config(), joined, this.element);
  }

  described(data) {
    const parts = data.series.map((one) => {
      const values = one.avg.filter((value) => value !== null);
      if (!values.length) return `${one.label}: no reading`;
      const low = values.reduce((a, b) => Math.min(a, b));
      const high = values.reduce((a, b) => Math.max(a, b));
      return `${one.label} from ${amount(low)} to ${amount(high)} ${one.unit || ""}, last ${amount(values.at(-1))}`;
    });
    return `Chart ${data.label || ""}: ${parts.join("; ") || "no series"}`;
  }

  units() {
    return [...new Set(this.data.series.map((one) => `y:${one.unit || ""}`))];
  }

  config() {
    const series = [{}];
    const bands = [];
    this.data.series.forEach((one, place) => {
      const scale = `y:${one.unit || ""}`;
      const colour = () => seriesColour(one.colour ?? place);
      const edge = { scale, stroke: "transparent", width: 0, points: { show: false }, spanGaps: false };
      series.push({ ...edge, label: `${one.label} max` }, { ...edge, label: `${one.label} min` });
      series.push({
        label: one.label, scale, stroke: colour, width: one.dashed ? 1.25 : 1.75, dash: one.dashed ? [5, 4] : undefined,
        paths: this.data.steps ? uPlot.paths.stepped({ align: 1 }) : undefined,
        spanGaps: false, points: { size: 4, fill: colour, stroke: colour, show: (plot, index, first, last) => this.lonely(plot, first, last) },
      });
      if (!one.dashed) bands.push({ series: [series.length - 3, series.length - 2], fill: () => faded(colour(), 18) });
    });
    const axis = { stroke: () => token("--chart-axis"), font: "12px system-ui, sans-serif", ticks: { show: false },
      grid: { stroke: () => token("--chart-grid"), width: 1 } };
    const scales = { x: { time: true, range: () => [this.data.start, this.data.end] } };
    const axes = [{ ...axis, space: 72, size: 40, values: (plot, splits, place, space, step) => momentLabels(splits, step) }];
    this.units().forEach((scale, place) => {
      scales[scale] = { range: (plot, low, high) => this.span(low, high, place === 0) };
      if (this.data.steps) scales[scale] = { range: [-0.15, 1.15] };
      axes.push({ ...axis, scale, ...(this.data.steps ? { splits: [0, 1] } : {}), side: place % 2 ? 1 : 3, grid: place ? { show: false } : axis.grid, size: 58, space: 36,
        label: this.units().length > 1 ? scale.slice(2) || "no unit" : undefined, labelSize: 18, labelFont: "12px system-ui, sans-serif",
        values: (plot, splits) => splits.map((value) => (value === null ? "" : this.written(value))) });
    });
    return {
      width: Math.max(160, this.element.clientWidth), height: this.height, ms: 1, series, bands, scales, axes,
      tzDate: (ms) => uPlot.tzDate(new Date(ms), zone()),
      padding: [10, 8, 0, 0], legend: { show: false },
      cursor: {
        sync: this.options.sync ? { key: this.options.sync, setSeries: false } : undefined,
        drag: { x: true, y: false, setScale: false }, points: { size: 6 },
        bind: { dblclick: () => () => { this.options.reset?.(); return null; } },
      },
      hooks: {
        drawClear: [(plot) => this.drawBehind(plot)],
        draw: [(plot) => this.drawLevels(plot)],
        setCursor: [(plot) => this.point(plot)],
        setSelect: [(plot) => this.selected(plot)],
      },
    };
  }

  /** Switches say on and off, and the share of the time where a bucket has both. */
  written(value) {
    if (!this.data.steps || (value > 0 && value < 1)) return this.data.steps ? `${Math.round(100 * value)} % on` : amount(value);
    return value ? "on" : "off";
  }

  lonely(plot, first, last) {
    return last - first < 60;
  }

  /** Room above and below; a threshold that is near is part of the picture. */
  span(low, high, main) {
    if (low === null || high === null) [low, high] = [0, 1];
    const size = high - low || Math.abs(high) * 0.1 || 1;
    let [from, to] = [low - 0.08 * size, high + 0.08 * size];
    for (const trigger of main ? this.triggers() : []) {
      if (trigger > to && trigger < high + 1.2 * size) to = trigger + 0.08 * size;
      if (trigger < from && trigger > low - 1.2 * size) from = trigger - 0.08 * size;
    }
    return [from, to];
  }

  triggers() {
    return (this.data.levels || []).filter(drawn).flatMap((level) => [level.trigger].flat());
  }

  drawBehind(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const alert of this.data.alerts || []) {
      const from = Math.max(plot.valToPos(alert.start, "x", true), bbox.left);
      const to = Math.min(plot.valToPos(alert.end ?? Math.min(now(), this.data.end), "x", true), bbox.left + bbox.width);
      if (to < bbox.left || from > bbox.left + bbox.width) continue;
      const colour = token(`--sev-${alert.severity}`);
      const width = Math.max(to - from, 2 * devicePixelRatio);
      ctx.fillStyle = faded(colour, 9);
      ctx.fillRect(from, bbox.top, width, bbox.height);
      ctx.fillStyle = colour;
      ctx.fillRect(from, bbox.top, width, 2 * devicePixelRatio);
      ctx.font = `${12 * devicePixelRatio}px system-ui`;
      ctx.fillText(SHAPES[alert.severity] || "", from + 2 * devicePixelRatio, bbox.top + 15 * devicePixelRatio);
    }
    ctx.restore();
  }

  drawLevels(plot) {
    const { ctx, bbox } = plot;
    const scale = this.units()[0];
    if (!scale) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const level of (this.data.levels || []).filter(drawn)) {
      const colour = token(`--sev-${level.severity}`);
      for (const trigger of [level.trigger].flat()) {
        const y = plot.valToPos(trigger, scale, true);
        ctx.strokeStyle = ctx.fillStyle = colour;
        ctx.lineWidth = 1.25 * devicePixelRatio;
        ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        ctx.font = `600 ${11 * devicePixelRatio}px system-ui`;
        ctx.textAlign = "right";
        ctx.fillText(`${SHAPES[level.severity]} ${amount(trigger)}`, bbox.left + bbox.width - 4 * devicePixelRatio,
          y < bbox.top + 16 * devicePixelRatio ? y + 13 * devicePixelRatio : y - 4 * devicePixelRatio);
      }
    }
    ctx.restore();
  }

  point(plot) {
    const { left, idx } = plot.cursor;
    if (left < 0 || idx === null || idx === undefined) {
      this.tip.hidden = true;
      return;
    }
    const lines = [line("b", full(plot.data[0][idx]))];
    this.data.series.forEach((one, place) => {
      const [max, min, avg] = [1, 2, 3].map((column) => plot.data[3 * place + column][idx]);
      if (avg === null || avg === undefined) return;
      const spread = min !== max && min !== null && !one.dashed ? ` (${amount(min)} – ${amount(max)})` : "";
      const shown = line("div", `${this.data.series.length > 1 ? `${one.label}: ` : ""}${this.written(avg)} ${one.unit || ""}${this.data.steps ? "" : spread}`);
      shown.style.color = seriesColour(one.colour ?? place);
      lines.push(shown);
    });
    this.tip.replaceChildren(...lines);
    this.tip.hidden = false;
    const offset = plot.over.offsetLeft + left;
    const right = offset > this.element.clientWidth - this.tip.offsetWidth - 24;
    this.tip.style.left = `${Math.max(0, right ? offset - this.tip.offsetWidth - 12 : offset + 12)}px`;
    this.tip.style.top = "12px";
  }

  selected(plot) {
    const { left, width } = plot.select;
    if (width < 6) return;
    const [start, end] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.options.zoom?.(Math.round(start), Math.round(end));
  }

  resize() {
    const width = Math.max(160, this.element.clientWidth);
    if (this.plot && width !== this.plot.width) this.plot.setSize({ width, height: this.height });
  }

  /** The picture as a PNG blob, on the page's own ground, with a title above it. */
  png(title = "") {
    const source = this.plot.ctx.canvas;
    const head = 32 * devicePixelRatio;
    const canvas = Object.assign(document.createElement("canvas"), { width: source.width, height: source.height + head });
    const ctx = canvas.getContext("2d");
    ctx.fillStyle = token("--surface");
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.fillStyle = token("--ink");
    ctx.font = `600 ${14 * devicePixelRatio}px system-ui`;
    ctx.fillText(title, 12 * devicePixelRatio, 21 * devicePixelRatio);
    ctx.drawImage(source, 0, head);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  destroy() {
    this.watch.disconnect();
    document.removeEventListener("theme:changed", this.redraw);
    document.removeEventListener("zone:changed", this.redraw);
    this.plot?.destroy();
    this.tip.remove();
    this.none.remove();
  }
}

const DAY_MS = 86400000;

/** Marks of the time axis in the viewer's zone: the clock, and below it the day wherever another one begins. */
function momentLabels(splits, step) {
  const make = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone(), ...options });
  const day = make(step > 300 * DAY_MS ? { year: "numeric" } : step > 27 * DAY_MS ? { month: "short", year: "numeric" } : { day: "numeric", month: "short" });
  if (step >= DAY_MS) return splits.map((ms) => day.format(ms));
  const clock = make({ hour: "2-digit", minute: "2-digit", second: step < 60000 ? "2-digit" : undefined, hourCycle: "h23" });
  let before = "";
  return splits.map((ms) => {
    const date = day.format(ms);
    const text = date === before ? clock.format(ms) : `${clock.format(ms)}\n${date}`;
    before = date;
    return text;
  });
}

/** Levels that are values of the metric; a rate or a silence has no place on its axis. */
function drawn(level) {
  return !["rate_above", "silent"].includes(level.condition) && level.trigger !== null;
}

function line(tag, text) {
  return Object.assign(document.createElement(tag), { textContent: text });
}
