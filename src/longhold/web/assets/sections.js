/** The panels further down, which are only filled where they are seen: equations, gradient by lag, time constants. */

import { constants, equations, lags } from "./panels.js";
import { ask } from "./server.js";
import { $, attempt, paneName, ready, state, told } from "./state.js";
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

/** The panes' panels side by side, made by `make(pane)`; what is out of date by then (`now` has changed) is dropped. */
export async function fill(id, now, make) {
  const from = now();
  const parts = [];
  for (const pane of ready()) {
    let made;
    try {
      made = await make(pane);
    } catch (error) {
      made = element("p", { class: "note", text: told(error) });
    }
    if (from !== now()) return;
    parts.push(element("div", {}, paneName(pane), made));
  }
  $(id).replaceChildren(...parts);
}

const atPlace = () => `${state.reading} ${state.offset}`;
const unitAtPlace = () => `${atPlace()} ${state.panes.map((pane) => `${pane.layer} ${pane.unit}`)}`;

function showEquations() {
  return fill("equations", unitAtPlace, async (pane) => {
    const mark = pane.marks[pane.at(state.offset)];
    const asked = { trace: pane.trace.trace, place: mark.last, layer: pane.layer, unit: pane.unit };
    pane.worked = null;
    pane.found = await ask("equations", asked);
    return (pane.worked = equationsOf(pane, mark.text));
  });
}

function equationsOf(pane, shown) {
  return equations(pane.found, {
    phase: state.phase,
    say: state.say,
    shown,
    onPhase: (index) => {
      state.phase = index;
      for (const each of ready().filter(({ worked }) => worked)) {
        const made = equationsOf(each, each.marks[each.at(state.offset)].text);
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
    const place = pane.marks[pane.at(state.offset)].first;
    if (pane.lag?.place === place) continue;
    pane.lag = null;
    if (place < 1) continue;
    const found = await ask("lag", { trace: pane.trace.trace, place }).catch(() => null);
    if (found) pane.lag = { ...found, place };
  }
}

function showLags() {
  return fill("lags", atPlace, async (pane) => {
    const mark = pane.marks[pane.at(state.offset)];
    const place = mark.first;
    if (place < 1) return element("p", { class: "note", text: state.say("scale_gradient_none") });
    if (pane.lag?.place !== place) pane.lag = { ...(await ask("lag", { trace: pane.trace.trace, place })), place };
    return lags(pane.lag, {
      say: state.say,
      shown: mark.text,
      width: widthOf("lags"),
      token: (lag) => pane.marks.find((each) => each.last >= place - 1 - lag && place - 1 - lag >= 0)?.text ?? "⊢",
    });
  });
}

function showConstants() {
  return fill("times", () => state.reading, async (pane) => {
    if (pane.info.cell === "RNN") return element("p", { class: "note", text: state.say("no_gates") });
    const found = await ask("constants", { trace: pane.trace.trace });
    return constants(found, { say: state.say, width: widthOf("times") });
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
