// Series of the REST API as charts take them.
import { get } from "./api.js";
import { iso } from "./range.js";

const UNITS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800, mo: 2678400, y: 31622400 };

/** Milliseconds of a bucket such as "5m" (the longest month, the longest year); 0 for the readings themselves. */
export function bucketMs(text) {
  const match = /^(\d+)([a-z]+)$/.exec(text || "");
  return match && UNITS[match[2]] ? Number(match[1]) * UNITS[match[2]] * 1000 : 0;
}

/** As many points as there are pixels to show them, within what is sensible. */
export function pointsFor(width) {
  return Math.max(120, Math.min(1000, Math.round(width)));
}

/**
 * Ask for aggregates as columns; `asked` is a list of [parameter, value].
 * Answers {bucket, source, stale, series: [{device, group, metric, unit, time, value or functions…}]}.
 */
export function ask(asked, range, signal) {
  const query = new URLSearchParams([...asked, ["start", iso(range.start)], ["end", iso(range.end)], ["shape", "columns"]]);
  return get(`/api/v1/aggregates?${query}`, signal);
}

/** The readings themselves come as `value`; average, minimum and maximum are then one. */
export function drawable(one, label) {
  const avg = one.avg || one.value || [];
  return { label, unit: one.unit || "", time: one.time, avg, min: one.min || avg, max: one.max || avg };
}

/** From how many ms on nothing counts as a gap: two buckets, or several times the usual distance where that is longer. */
export function gapMs(bucket, one, interval) {
  const steps = one.time.slice(1).map((time, place) => time - one.time[place]).sort((a, b) => a - b);
  const usual = steps.length ? steps[Math.floor(steps.length / 2)] : 0;
  if (bucket && usual < 1.5 * bucket) return 2.01 * bucket;
  return Math.max(3 * (interval || 0) * 1000, 3 * usual, 2.01 * bucket);
}

/** The narrowest usual bucket of at least a minute that makes at most so many points of a range. */
export function steadyBucket({ start, end }, points = 300) {
  const widths = ["1m", "5m", "15m", "1h", "6h", "1d", "1w"];
  return widths.find((width) => (end - start) / bucketMs(width) <= points) || "1mo";
}
