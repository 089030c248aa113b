/** Which units follow a property of the text, and marking the text by one of them. */

import { chooseUnit } from "./inspecting.js";
import { scores } from "./panels.js";
import { fill } from "./sections.js";
import { ask } from "./server.js";
import { $, setStatus, state } from "./state.js";

/** Ask for the scores of every unit and show them. */
export async function findUnits() {
  setStatus(state.say("searching"));
  $("find").disabled = true;
  const load = async (pane) => (pane.scored = await ask("units", { model: pane.model, text: $("text").value }));
  await fill("scores", () => state.panes, load, (pane) => (pane.scores = scoresOf(pane)));
  $("find").disabled = false;
  setStatus("");
}

function scoresOf(pane) {
  return scores(pane.scored, {
    say: state.say,
    onMark: async (layer, unit) => {
      state.colour = "unit";
      $("by-unit").checked = true;
      await chooseUnit(pane, layer, unit, true);
      pane.view?.element.scrollIntoView({ block: "center" });
    },
  });
}


/** The scores that are shown, in other words. */
export function speakUnits() {
  for (const pane of state.panes.filter(({ scores: shown }) => shown)) {
    const made = scoresOf(pane);
    pane.scores.replaceWith(made);
    pane.scores = made;
  }
}
