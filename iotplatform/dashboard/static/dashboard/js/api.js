// The REST API with the session of this page. Every failure becomes an ApiError whose message a person can read.

const TIMEOUT_MS = 20000;

export class ApiError extends Error {
  constructor(status, problem) {
    const fields = (problem.errors || []).map((each) => (each.field ? `${each.field}: ${each.detail}` : each.detail));
    super(fields.join(" ") || problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.errors = problem.errors || [];
  }
}

/** Ask; answers the JSON (undefined for 204). Raises ApiError. */
export async function api(method, path, body, signal) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRFToken"] = document.querySelector('meta[name="csrf-token"]').content;
  let answer;
  try {
    const limit = AbortSignal.timeout(TIMEOUT_MS);
    answer = await fetch(path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { detail: "The server does not answer. Look whether it is up, then try again." });
  }
  if (answer.status === 204) return undefined;
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, said);
  return said;
}

export const get = (path, signal) => api("GET", path, undefined, signal);
export const post = (path, body = {}) => api("POST", path, body);
export const patch = (path, body) => api("PATCH", path, body);
export const remove = (path) => api("DELETE", path);

/** A line at the lower right that goes by itself; `action` is {label, run} such as an undo. */
export function toast(text, action, seconds = 8) {
  const note = document.createElement("div");
  note.className = "toast-note";
  note.setAttribute("role", "status");
  note.append(Object.assign(document.createElement("span"), { textContent: text }));
  if (action) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: action.label });
    button.addEventListener("click", () => { note.remove(); action.run(); });
    note.append(button);
  }
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), seconds * 1000);
}
