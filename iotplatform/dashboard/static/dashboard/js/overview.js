// One click takes an alert; the row follows at once, and for a while it can be taken back.
import { post, toast } from "./api.js";
import { refresh } from "./live.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-acknowledge]");
  if (!button) return;
  const id = button.dataset.acknowledge;
  button.disabled = true;
  try {
    await post(`/api/v1/alerts/${id}/acknowledge`);
    toast("Acknowledged: it is yours.", { label: "Undo", run: () => takeBack(id) });
  } catch (error) {
    toast(error.message);
    button.disabled = false;
  }
  refresh();
});

async function takeBack(id) {
  try {
    await post(`/api/v1/alerts/${id}/unacknowledge`);
  } catch (error) {
    toast(error.message);
  }
  refresh();
}
