// Measured values as people write them.

/** Enough digits, no more; "on" and "off" of booleans; a dash where there is no value. */
export function amount(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value === "boolean") return value ? "on" : "off";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e7 || size < 1e-4)) return value.toExponential(3);
  const digits = size >= 1000 ? 1 : size >= 100 ? 2 : size >= 1 ? 3 : 5;
  return value.toLocaleString("en-GB", { maximumFractionDigits: digits });
}
