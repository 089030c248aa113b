/** The page itself: its two views, its languages, which models are looked into. */

import { colourAgain, loadUnit } from "./colours.js";
import { over } from "./course.js";
import { chosenChanged, walk } from "./inspecting.js";
import { LANGUAGES, preferred, speaker } from "./messages.js";
import { Pane } from "./pane.js";
import { read, showReadings, textChanged } from "./reading.js";
import { later, loadLags, observeSections } from "./sections.js";
import { ask } from "./server.js";
import { $, attempt, errorLine, ready, setStatus, state } from "./state.js";
import { beginTraining, redrawTraining, speakTraining } from "./training.js";
import { findUnits, speakUnits } from "./units.js";
import { element } from "./views.js";
import { write } from "./writing.js";

const LANGUAGE = "longhold-language";

function showWords() {
  const { say } = state;
  document.documentElement.lang = say.language;
  for (const part of document.querySelectorAll("[data-say]")) part.textContent = say(part.dataset.say);
  $("languages").setAttribute("aria-label", say("language"));
  $("views").setAttribute("aria-label", say("view"));
  for (const button of $("languages").children) button.setAttribute("aria-pressed", String(button.lang === say.language));
  $("temperature-value").textContent = say.number(Number($("temperature").value), 1);
  $("temperature-field").title = say("temperature_hint");
  $("beside").firstElementChild.textContent = say("nothing");
  showTitle();
  showNames();
}

function showTitle() {
  document.title = `${state.say($("look").hidden ? "train_title" : "title")} – longhold`;
}

function showNames() {
  $("name").replaceChildren(...state.panes.flatMap((pane, at) => (at ? [" ", element("span", { class: "and", text: "+" }), " ", pane.info.name] : [pane.info.name])));
  $("facts").textContent = state.panes.map(({ info }) => factsOf(info)).join(" — ");
}

function factsOf(info) {
  const { say } = state;
  const parts = [
    say("facts", { cell: info.cell, layers: info.layers, units: info.units, parameters: say.count(info.parameters) }),
    info.corpus ? say("facts_corpus", { corpus: info.corpus }) : null,
    info.held_out === null ? null : say("facts_held_out", { bits: say.number(info.held_out, 2) }),
  ];
  return parts.filter(Boolean).join(" · ");
}

function speak(language) {
  state.say = speaker(language);
  showWords();
  if (showSample()) read();
  speakTraining();
  showReadings();
  speakUnits();
  if (!ready().length) return;
  chosenChanged();
  later("constants");
}

/** Show one of the two views. */
function show(view) {
  const look = view === "look";
  $("look").hidden = $("choices").hidden = !look;
  $("train").hidden = look;
  $("to-look").setAttribute("aria-pressed", String(look));
  $("to-train").setAttribute("aria-pressed", String(!look));
  $("skip").setAttribute("href", look ? "#text" : "#corpus");
  showTitle();
  if (!look) redrawTraining();
}

let typed = false; // whether the text is a person's

/** Unless a person has typed, show the sample that suits the first model; whether the text is another now. */
function showSample() {
  const [pane] = state.panes;
  if (typed || !pane) return false;
  const before = $("text").value;
  $("text").value = pane.info.samples[state.say.language];
  return $("text").value !== before;
}

function choosePanes() {
  const [model, beside] = [Number($("model").value), $("beside").value];
  const { models } = state.about;
  const chosen = beside === "" || Number(beside) === model ? [model] : [model, Number(beside)];
  state.panes = chosen.map((index) => new Pane(index, models[index]));
  document.body.classList.toggle("two-models", state.panes.length > 1);
  $("scores").replaceChildren();
  showNames();
  showSample();
  read();
}

/** Offer the models that there are; what was chosen stays. */
function offerModels() {
  const { models } = state.about;
  for (const id of ["model", "beside"]) {
    const offered = [...$(id).options].filter(({ value }) => value !== "").length;
    models.slice(offered).forEach(({ name, cell }, at) => $(id).append(element("option", { value: offered + at, text: `${name} (${cell})` })));
  }
  $("beside-field").hidden = models.length < 2;
  $("to-look").disabled = !models.length;
}

async function joined() {
  const none = !state.panes.length;
  state.about = await ask("about");
  offerModels();
  if (none) choosePanes();
}

function look(model) {
  $("model").value = String(model);
  show("look");
  choosePanes();
  $("text").focus();
}

function begin() {
  for (const [language, { name }] of Object.entries(LANGUAGES)) {
    const button = element("button", { type: "button", lang: language, text: name });
    button.addEventListener("click", () => {
      localStorage.setItem(LANGUAGE, language);
      speak(language);
    });
    $("languages").append(button);
  }
  $("beside").append(element("option", { value: "" }));
  offerModels();
  if (state.about.models.length > 1) $("beside").value = "1";
  listen();
  beginTraining({ joined, look });
  const { models, training } = state.about;
  show(models.length && (training === null || over(training)) ? "look" : "train");
  if (state.about.models.length) choosePanes();
  showWords();
  observeSections();
}

function listen() {
  let composing = false;
  $("text").addEventListener("compositionstart", () => (composing = true));
  $("text").addEventListener("compositionend", () => {
    composing = false;
    textChanged();
  });
  $("text").addEventListener("input", () => {
    typed = true;
    if (!composing) textChanged();
  });
  $("to-look").addEventListener("click", () => show("look"));
  $("to-train").addEventListener("click", () => show("train"));
  $("write").addEventListener("click", write);
  $("stop").addEventListener("click", () => attempt(() => ask("stop", {})));
  $("temperature").addEventListener("input", () => {
    $("temperature-value").textContent = state.say.number(Number($("temperature").value), 1);
  });
  $("model").addEventListener("change", choosePanes);
  $("beside").addEventListener("change", choosePanes);
  $("before").addEventListener("click", () => walk(-1));
  $("after").addEventListener("click", () => walk(1));
  $("find").addEventListener("click", findUnits);
  $("colours").addEventListener("change", async (event) => {
    state.colour = event.target.value;
    if (!ready().length) return;
    if (state.colour === "unit") await Promise.all(ready().map(loadUnit));
    if (state.colour === "gradient") await loadLags();
    colourAgain();
  });
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    later("lag");
    later("constants");
    redrawTraining();
  });
}

async function start() {
  state.say = speaker(preferred(localStorage.getItem(LANGUAGE), navigator.languages));
  state.about = await ask("about");
  begin();
}

start().catch((error) => setStatus(errorLine(error)));
