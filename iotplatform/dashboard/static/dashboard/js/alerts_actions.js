// What people do with alerts, one or many: asks the REST API, says what became of it, offers to undo.
//
// A target is {ids: [...]} or {filter: {...}, count}; `alerts` of a target are the rows that are known of it, as
// {device, metric, threshold, thresholdName}.
import { ApiError, post, remove, toast } from "./api.js";
import { refresh } from "./live.js";

const DONE = {
  acknowledge: "acknowledged", unacknowledge: "taken back", assign: "assigned", comment: "commented on", resolve: "resolved",
};
const MOST_SILENCES = 50;
let undoable = [];

function many(number) {
  return number === 1 ? "1 alert" : `${number.toLocaleString("en-GB")} alerts`;
}

/** Act on a target; answers whether anything was changed. What failed is said in a line. */
export async function act(action, target, said = {}) {
  try {
    const results = await sent(action, target, said);
    tell(action, results);
    return results.some((each) => each.result === "changed");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message);
    return false;
  } finally {
    refresh(); // nobody waits for the picture: a dialog closes at once
  }
}

/** All of it: a filter matches at most so many at once, and is asked again for as long as that leads on. */
async function sent(action, target, said) {
  const results = [];
  for (;;) {
    const chosen = target.filter ? { filter: target.filter } : { ids: target.ids };
    const answer = await post("/api/v1/alerts/bulk", { action, ...chosen, ...said });
    results.push(...answer.results);
    if (!answer.more) return results;
    if (!answer.changed || !leaves(action, target.filter)) {
      toast(`Only the first ${results.length.toLocaleString("en-GB")} were changed: narrow the filter for the others.`);
      return results;
    }
  }
}

/** Whether an action takes alerts out of a filter, so that the same question asks for the next ones. */
function leaves(action, filter) {
  return (action === "acknowledge" && filter.state === "open") || action === "resolve";
}

function tell(action, results) {
  const of = (result) => results.filter((each) => each.result === result);
  const changed = of("changed");
  if (changed.length) {
    const undo = action === "acknowledge";
    if (undo) undoable = changed.map((each) => each.id);
    toast(`${many(changed.length)} ${DONE[action]}.`, undo ? { label: "Undo", run: undoLast } : undefined, undo ? 12 : 5);
  }
  const refused = of("conflict");
  if (refused.length) {
    const others = refused.length > 1 ? ` And ${refused.length - 1} more like it.` : "";
    toast(`Not ${DONE[action]}: ${refused[0].detail}${others}`);
  }
  if (of("busy").length) toast(of("busy")[0].detail);
  if (of("not_found").length) toast(`${many(of("not_found").length)} could not be found any more.`);
  if (of("unchanged").length && !changed.length && !refused.length) toast("It was so already.", undefined, 4);
}

/** Take back what was acknowledged last on this page. */
export async function undoLast() {
  if (!undoable.length) {
    toast("There is nothing to undo here.", undefined, 4);
    return;
  }
  const ids = undoable;
  undoable = [];
  await act("unacknowledge", { ids });
}

// --- dialogs --------------------------------------------------------------------------------------------------------

function about(target) {
  const known = target.alerts || [];
  if (known.length === 1 && !target.filter) return `${known[0].thresholdName} on ${known[0].device}`;
  return many(target.filter ? target.count : target.ids.length);
}

/** Show a dialog; `run(form)` is called when it is sent, and keeps it open by raising. */
function ask(id, target, run) {
  const dialog = document.getElementById(id);
  const form = dialog.querySelector("form");
  const wrong = dialog.querySelector("[data-error]");
  dialog.querySelector("[data-about]").textContent = about(target);
  wrong.hidden = true;
  form.onsubmit = async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      await run(form);
      dialog.close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      wrong.textContent = error.message;
      wrong.hidden = false;
    } finally {
      button.disabled = false;
    }
  };
  dialog.showModal();
  return dialog;
}

function askNote(target, { title, label, required, action, doing }) {
  const dialog = document.getElementById("note-dialog");
  const text = dialog.querySelector("textarea");
  dialog.querySelector("[data-title]").textContent = title;
  dialog.querySelector("[data-label]").textContent = label;
  dialog.querySelector("[data-do]").textContent = doing;
  text.value = "";
  text.required = required;
  ask("note-dialog", target, async () => { await act(action, target, { text: text.value.trim() }); });
}

function askSilence(target) {
  const dialog = document.getElementById("silence-dialog");
  const known = target.alerts || [];
  const devices = new Set(known.map((each) => each.device));
  const thresholds = new Set(known.map((each) => each.threshold));
  const say = (what, text) => { dialog.querySelector(`[data-what="${what}"]`).textContent = text; };
  const one = known.length === 1;
  say("pair", one ? `${known[0].thresholdName} on ${known[0].device}` : "each threshold on its device");
  say("device", devices.size === 1 ? `everything of ${[...devices][0]}` : `everything of these ${devices.size} devices`);
  say("threshold", thresholds.size === 1 ? `${known[0]?.thresholdName} on every device` : `these ${thresholds.size} thresholds on every device`);
  dialog.querySelector("#silence-reason").value = "";
  ask("silence-dialog", target, async (form) => {
    const bodies = silences(known, new FormData(form), dialog.querySelector("#silence-reason").value.trim());
    const made = [];
    for (const body of bodies) made.push(await post("/api/v1/silences", body));
    const end = new Date(bodies[0].ends_at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
    toast(`Silenced until ${end}.`, { label: "Undo", run: () => unsilence(made) }, 12);
    refresh();
  });
}

function silences(known, said, reason) {
  const long = said.get("long");
  const until = long === "until" ? new Date(said.get("until")) : new Date(Date.now() + Number(long) * 1000);
  if (Number.isNaN(until.getTime())) throw new ApiError(400, { detail: "Say until when." });
  const common = { ends_at: until.toISOString(), reason };
  const what = said.get("what");
  const each = new Map();
  for (const { device, metric, threshold } of known) {
    if (what === "device") each.set(device, { ...common, device });
    else if (what === "threshold") each.set(threshold, { ...common, threshold: Number(threshold) });
    else each.set(`${device} ${threshold} ${metric}`, { ...common, device, metric, threshold: Number(threshold) });
  }
  if (each.size > MOST_SILENCES) {
    throw new ApiError(400, { detail: `That would be ${each.size} silences: choose fewer alerts, or silence a group under Silences.` });
  }
  return [...each.values()];
}

async function unsilence(made) {
  try {
    for (const one of made) await remove(`/api/v1/silences/${one.id}`);
    toast("The silence is gone.", undefined, 4);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message);
  }
  await refresh();
}

/** Do what a button asks for, with its dialog where it has one. */
export async function start(action, target, me) {
  switch (action) {
    case "acknowledge": {
      // Of all that match only those that nobody has: the others would be refused one by one.
      const chosen = target.filter ? { ...target, filter: { ...target.filter, state: "open" } } : target;
      return act(action, chosen);
    }
    case "unacknowledge":
      return act(action, target);
    case "assign-me":
      return act("assign", target, { assignee: me });
    case "assign":
      return ask("assign-dialog", target, async (form) => {
        await act("assign", target, { assignee: form.querySelector("select").value || null });
      });
    case "comment":
      return askNote(target, { title: "Comment", label: "Comment", required: true, action, doing: "Comment" });
    case "resolve":
      return askNote(target, {
        title: "Resolve: it opens anew only once the value was safe", label: "Note (not needed)", required: false, action, doing: "Resolve",
      });
    case "silence":
      return askSilence(target);
    default:
      throw new Error(`unknown action ${action}`);
  }
}

/** What a row, or the head of an alert's page, is about. */
export function alertOf(element) {
  const { device, metric, threshold, thresholdName } = element.dataset;
  return { device, metric, threshold, thresholdName };
}
