/** The panels further down, which are only filled where they are seen: equations, gradient by lag, time constants. */

import { constants, equations, lags } from "./panels.js";
import { ask } from "./server.js";
import { $, attempt, errorLine, paneName, ready, state } from "./state.js";
import { element } from "./views.js";

const dirty = new Set();
const seen = new Set();

const SECTIONS = { steps: showEquations, lag: showLags, constants: showConstants };

/** A panel is out of date: it is filled anew now, or when it is seen. */
export function later(name) {
  dirty.add(name);
  if (seen.has(name)) run(name);
}

const waiting = {};

function run(name) {
  clearTimeout(waiting[name]);
  waiting[name] = setTimeout(() => {
    if (!ready().length || !dirty.delete(name)) return;
    attempt(SECTIONS[name]);
  }, 120);
}

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target.id);
      else seen.delete(target.id);
      if (isIntersecting && dirty.has(target.id)) run(target.id);
    }
  },
  { rootMargin: "200px" },
);

/**
 * The panes' panels side by side. First `load(pane)` gives what each of them shows, then `draw(pane, found, all)` draws
 * it, `all` being what was found for any pane, so that all panels have one scale. What is out of date by then (`now` has
 * changed) is dropped.
 */
export async function fill(id, now, load, draw) {
  const from = now();
  const loaded = [];
  for (const pane of ready()) {
    loaded.push(await load(pane).then((found) => ({ pane, found }), (error) => ({ pane, error })));
    if (from !== now()) return;
  }
  const all = loaded.filter(({ found }) => found).map(({ found }) => found);
  const parts = loaded.map(({ pane, found, error }) =>
    element("div", {}, paneName(pane), error ? element("p", { class: "note", text: errorLine(error) }) : draw(pane, found, all)),
  );
  $(id).replaceChildren(...parts);
}

const atPlace = () => `${state.reading} ${state.offset}`;
const unitAtPlace = () => `${atPlace()} ${state.panes.map((pane) => `${pane.layer} ${pane.unit}`)}`;

function showEquations() {
  const load = async (pane) => {
    pane.worked = null;
    const place = pane.marks[pane.at(state.offset)].last;
    return (pane.found = await ask("equations", { trace: pane.trace.trace, place, layer: pane.layer, unit: pane.unit }));
  };
  return fill("equations", unitAtPlace, load, (pane, _, all) => (pane.worked = equationsOf(pane, all)));
}

function equationsOf(pane, all) {
  return equations(pane.found, {
    all,
    phase: state.phase,
    say: state.say,
    shown: pane.marks[pane.at(state.offset)].text,
    onPhase: (index) => {
      state.phase = index;
      for (const each of ready().filter(({ worked }) => worked)) {
        const made = equationsOf(each, all);
        each.worked.replaceWith(made);
        each.worked = made;
        if (each === pane) made.querySelectorAll(".phases button")[index].focus();
      }
    },
  });
}

/** Fetch the gradient of the chosen character's surprise, where it isn't there. */
export async function loadLags() {
  for (const pane of ready()) {
    if (pane.lag?.place !== pane.marks[pane.at(state.offset)].first) pane.lag = null;
    await lagOf(pane).catch(() => null);
  }
}

async function lagOf(pane) {
  const place = pane.marks[pane.at(state.offset)].first;
  if (place < 1) return null;
  if (pane.lag?.place !== place) pane.lag = { ...(await ask("lag", { trace: pane.trace.trace, place })), place };
  return pane.lag;
}

function showLags() {
  return fill("lags", atPlace, lagOf, (pane, found, all) => {
    if (!found) return element("p", { class: "note", text: state.say("scale_gradient_none") });
    const start = found.place - 1;
    return lags(found, {
      all,
      say: state.say,
      shown: pane.marks[pane.at(state.offset)].text,
      width: widthOf("lags"),
      token: (lag) => pane.marks.find((each) => each.last >= start - lag && start - lag >= 0)?.text ?? "⊢",
    });
  });
}

function showConstants() {
  const load = async (pane) => (pane.info.cell === "RNN" ? null : ask("constants", { trace: pane.trace.trace }));
  return fill("times", () => state.reading, load, (pane, found, all) => {
    if (!found) return element("p", { class: "note", text: state.say("no_gates") });
    return constants(found, { all, say: state.say, width: widthOf("times") });
  });
}

function widthOf(id) {
  const columns = getComputedStyle($(id)).gridTemplateColumns.split(" ").length;
  return Math.max(260, Math.floor($(id).clientWidth / columns - (columns > 1 ? 24 : 0)) - 42);
}


/** Begin to look which panels are seen. */
export function observeSections() {
  for (const id of Object.keys(SECTIONS)) observer.observe($(id));
}
