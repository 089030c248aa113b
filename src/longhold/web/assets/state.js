/** What the parts of the page share: the words, the models, what is chosen. */

import { speaker } from "./messages.js";
import { spoken } from "./refusals.js";
import { element } from "./views.js";

export const state = {
  say: speaker("en"),
  about: null,
  panes: [],
  offset: 0, // UTF-16 units before the end of the chosen character
  chosen: false, // whether a person chose it; if not, it is the last one
  colour: "surprise",
  phase: 0,
  reading: 0, // number of the newest reading; older answers are dropped
};

export const $ = (id) => document.getElementById(id);

/** The panes whose model has read the text. */
export function ready() {
  return state.panes.filter((pane) => pane.trace);
}

export function setStatus(line) {
  $("status").textContent = line;
}

/** The line for a person about an error. */
export function errorLine(error) {
  return error.gone ? state.say("gone") : spoken(error.message, state.say.language);
}

/** What `work` gives; null where it fails, which the status line shows. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    setStatus(errorLine(error));
    return null;
  }
}

/** The name over a pane, where there is more than one. */
export function paneName(pane) {
  if (state.panes.length < 2) return null;
  return element("h3", { class: "pane-name", text: `${pane.info.name} · ${pane.info.cell}` });
}
