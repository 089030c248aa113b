/** Choosing a character and a unit, and the panels of what is inside there. */

import { colourAgain, loadUnit } from "./colours.js";
import { inspector, readout, scalesOf } from "./panels.js";
import { later, loadLags } from "./sections.js";
import { $, attempt, paneName, ready, state } from "./state.js";
import { element } from "./views.js";

/** Choose the character that ends at `end`, in every pane. */
export function choose(end) {
  state.offset = end;
  state.chosen = true;
  for (const pane of state.panes) if (pane.view) pane.view.choose(pane.at(state.offset));
  chosenChanged();
}

/** Choose the character before or after. */
export function walk(direction) {
  const [pane] = ready();
  const mark = pane?.marks[pane.at(state.offset) + direction];
  if (mark) choose(mark.end);
}

let peeking = null;

/** Show what is inside at a mark while a pointer is there; null: at the chosen one again. */
export function peek(pane, index) {
  clearTimeout(peeking);
  if (index === null) {
    peeking = setTimeout(() => showInspectors(null), 120);
  } else {
    peeking = setTimeout(() => showInspectors(pane.marks[index].end), 30);
  }
}

let inspecting = 0;

/** The panels of the step at the character that ends at `end`, else at the chosen one. */
async function showInspectors(end) {
  if (!ready().length) return;
  const mine = ++inspecting;
  const shown = ready();
  const steps = await attempt(() =>
    Promise.all(shown.map((pane) => pane.step(pane.at(end ?? state.offset)))),
  );
  if (!steps || mine !== inspecting) return;
  const focused = focusKept();
  const scales = scalesOf(shown.map((pane, at) => steps[at].layers[pane.layer]));
  const parts = shown.map((pane, at) => {
    const made = inspector(steps[at], {
      model: pane.info,
      layer: pane.layer,
      unit: pane.unit,
      scales,
      say: state.say,
      onUnit: (layer, unit) => chooseUnit(pane, layer, unit),
      onLayer: (layer) => chooseUnit(pane, layer, pane.unit, true),
    });
    pane.choose = made.choose;
    pane.line?.replaceChildren(readout(steps[at], state.say));
    pane.inside = made.element;
    return element("div", {}, paneName(pane), made.element);
  });
  $("inspectors").replaceChildren(...parts);
  focused();
}

/** Remembers which control of the panels has the focus, and gives it back after they were made anew. */
function focusKept() {
  const controls = () => [...$("inspectors").querySelectorAll("[tabindex], select, input, summary")];
  const at = controls().indexOf(document.activeElement);
  const open = [...$("inspectors").querySelectorAll("details")].map((details) => details.open);
  return () => {
    $("inspectors").querySelectorAll("details").forEach((details, index) => (details.open = open[index] ?? false));
    if (at >= 0) controls()[at]?.focus();
  };
}

/** Another character is chosen, or the text is another. */
export function chosenChanged() {
  showInspectors(null);
  later("steps");
  later("lag");
  if (state.colour === "gradient") loadLags().then(colourAgain);
}

/** Choose a unit of a pane; `whole` where its layer may be another. */
export async function chooseUnit(pane, layer, unit, whole = false) {
  pane.layer = layer;
  pane.unit = unit;
  pane.choose?.(unit);
  const number = pane.inside?.querySelector("input[type=number]");
  if (number) number.value = String(unit);
  if (whole) showInspectors(null);
  later("steps");
  if (state.colour === "unit") {
    await loadUnit(pane);
    colourAgain();
  }
}
