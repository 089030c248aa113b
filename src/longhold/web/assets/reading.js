/** Reading the text with every model, and showing it marked. */

import { levelsOf, loadUnit, showLegend } from "./colours.js";
import { choose, chosenChanged, peek } from "./inspecting.js";
import { everyCharacter } from "./panels.js";
import { later } from "./sections.js";
import { ask } from "./server.js";
import { $, errorLine, paneName, ready, setStatus, state } from "./state.js";
import { Marks, element, quoted } from "./views.js";

const PAUSE = 250; // milliseconds without typing before the text is read

let timer = null;

/** The text is another: what is being read is out of date, and it is read when the typing pauses. */
export function textChanged() {
  clearTimeout(timer);
  state.reading++;
  $("readings").setAttribute("aria-busy", "true");
  timer = setTimeout(read, PAUSE);
}

/** Read the text now. */
export async function read() {
  clearTimeout(timer);
  const mine = ++state.reading;
  $("readings").setAttribute("aria-busy", "true");
  await readNow(mine);
  if (mine === state.reading) $("readings").setAttribute("aria-busy", "false");
}

async function readNow(mine) {
  const text = $("text").value;
  const count = Array.from(text).length;
  if (count > state.about.longest_text) {
    setStatus(state.say("too_long", { count: state.say.count(count), most: state.say.count(state.about.longest_text) }));
    return;
  }
  if (!text) {
    state.panes.forEach((pane) => Object.assign(pane, { trace: null, problem: null }));
    setStatus(state.say("no_text"));
    showReadings();
    return;
  }
  setStatus(state.say("working"));
  for (const pane of state.panes) {
    pane.problem = null;
    const answer = await ask("trace", { model: pane.model, text }).catch((error) => {
      pane.problem = errorLine(error);
      return null;
    });
    if (mine !== state.reading) return;
    if (answer) pane.take(answer);
    else pane.trace = null;
  }
  setStatus("");
  state.offset = state.chosen ? Math.min(state.offset, text.length) : text.length;
  if (state.colour === "unit") await Promise.all(ready().map(loadUnit));
  if (mine !== state.reading) return;
  showReadings();
  chosenChanged();
  later("constants");
}

function describe(pane, index) {
  const mark = pane.marks[index];
  return state.say("mark", {
    token: quoted(mark.text),
    bits: state.say.number(mark.bits, 2),
    place: index + 1,
    count: pane.marks.length,
  });
}

/** Show what was read. */
export function showReadings() {
  const parts = state.panes.map((pane) => {
    if (!pane.trace) {
      pane.view = null;
      return element("div", {}, paneName(pane), element("p", { class: "note", text: pane.problem ?? state.say("no_text") }));
    }
    pane.view = new Marks({
      label: state.say("walk", { model: pane.info.name }),
      describe: (index) => describe(pane, index),
      onChoose: (index) => choose(pane.marks[index].end),
      onPeek: (index) => peek(pane, index),
    });
    pane.line = element("div", { class: "line-below" });
    const { kind, levels } = levelsOf(pane);
    pane.view.chosen = pane.at(state.offset);
    pane.view.show(pane.marks.map((mark, at) => ({ text: mark.text, level: levels[at], kind })));
    const summary = state.say("summary", {
      bits: state.say.number(pane.trace.bits_per_character, 2),
      bytes: state.say.number(pane.trace.bits_per_byte, 2),
    });
    const unknown = pane.trace.unknown.length
      ? element("p", { class: "note", text: state.say("unknown", { tokens: pane.trace.unknown.map(quoted).join(" ") }) })
      : null;
    return element(
      "div",
      {},
      paneName(pane),
      pane.view.element,
      pane.line,
      element("p", { class: "summary", text: summary }),
      unknown,
      everyCharacter(pane.marks, state.say),
    );
  });
  $("readings").replaceChildren(...parts);
  for (const pane of ready()) pane.view.reveal();
  if (!ready().length) for (const id of ["inspectors", "equations", "lags", "times"]) $(id).replaceChildren();
  showLegend();
}
