/** The model goes on from the text. */

import { read } from "./reading.js";
import { ask } from "./server.js";
import { $, attempt, setStatus, state } from "./state.js";

/** Write into the text until the model is done or stopped. */
export async function write() {
  const begun = await attempt(() =>
    ask("write", { model: state.panes[0].model, text: $("text").value, length: 300, temperature: Number($("temperature").value) }),
  );
  if (!begun) return;
  const before = $("text").value;
  writingNow(true);
  setStatus(state.say("writing"));
  for (;;) {
    const job = await attempt(() => ask("job"));
    if (!job) break;
    $("text").value = before + job.text;
    $("text").scrollTop = $("text").scrollHeight;
    if (job.state !== "running") {
      setStatus(job.state === "stopped" ? state.say("stopped") : job.error);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  writingNow(false);
  await read();
}

function writingNow(writing) {
  $("write").hidden = writing;
  $("stop").hidden = !writing;
  $("text").readOnly = writing;
  $(writing ? "stop" : "write").focus();
}
