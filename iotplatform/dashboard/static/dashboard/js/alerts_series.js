// The readings of one series for a chart: as many points as there is room for.
import { ask, bucketMs, drawable, gapMs, pointsFor } from "./series.js";

/** {unit, time, avg, min, max, gapMs, label} of a metric of a device in [start, end), ms. Raises ApiError. */
export async function readings(device, metric, start, end, width, signal) {
  const asked = [["device", device], ["metric", metric], ["functions", "avg,min,max"], ["points", pointsFor(width)]];
  const answer = await ask(asked, { start, end }, signal);
  const one = answer.series[0] || { time: [], value: [] };
  return { ...drawable(one, device), gapMs: gapMs(bucketMs(answer.bucket), one) };
}
