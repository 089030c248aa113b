/** The training pane: a text is given, what training on it would be is said, and one training is watched. */

import { Course, curves, evaluations, lineWords, samples, stateWords } from "./course.js";
import { ask, events, send } from "./server.js";
import { $, errorLine, state } from "./state.js";
import { element, visible } from "./views.js";

const PAUSE = 1200; // milliseconds without typing before the text is sent
const AGAIN = 2000; // milliseconds before a stream that broke off is asked for again
const MEGABYTE = 1024 * 1024;

let text = null; // what the server said of the newest text
let forecast = null;
let suits = null; // seconds that suit the text with this cell
let problem = null; // says why there is no text
let checking = 0; // number of the newest check; older answers are dropped
let planning = 0;
let course = null;
let onModel = () => {};

/* The text */

function corpus() {
  const [file] = $("file").files;
  return file ? { title: file.name, blob: file } : { title: "text", blob: new Blob([$("corpus").value]) };
}

let timer = null;

function textChanged() {
  clearTimeout(timer);
  checking += 1;
  text = forecast = problem = suits = null;
  showPlan();
  timer = setTimeout(check, PAUSE);
}

/** Send the text, and show what the server says of it and of a training on it. */
async function check() {
  clearTimeout(timer);
  const mine = ++checking;
  text = forecast = problem = suits = null;
  problem = unfit();
  if (!problem && corpus().blob.size) {
    status(() => state.say("train_sending"));
    const found = await send(await corpus().blob.arrayBuffer(), $("file").files.length ? $("encoding").value : "utf-8").catch((error) => {
      problem = () => (error.gone ? errorLine(error) : state.say("train_unreadable", { line: errorLine(error) }));
      return null;
    });
    if (mine !== checking) return;
    text = found;
    if (found && found.characters < state.about.shortest_text) problem = () => tooShort(found.characters);
  }
  status(problem ?? (() => ""));
  showPlan();
  if (text && !problem) await plan();
}

/** Why the text need not be sent; null where it may be. */
function unfit() {
  const { size } = corpus().blob;
  const most = state.about.largest_text;
  if (size > most) return () => state.say("train_too_large", { size: state.say.number(size / MEGABYTE, 1), most: state.say.count(most / MEGABYTE) });
  const count = Array.from($("corpus").value.slice(0, 2 * state.about.shortest_text)).length;
  if (!$("file").files.length && count && count < state.about.shortest_text) return () => tooShort(count);
  return null;
}

function tooShort(count) {
  return state.say("train_too_short", { count: state.say.count(count), least: state.say.count(state.about.shortest_text) });
}

/** Ask what a training would be with what is chosen. */
async function plan() {
  const mine = ++planning;
  const planned = text;
  const budget = seconds();
  forecast = null;
  status(() => state.say("train_planning"));
  showPlan();
  let failed = null;
  const found = await ask("forecast", { text: planned.text, cell: cell(), seconds: budget }).catch((error) => {
    failed = () => errorLine(error);
    return null;
  });
  if (mine !== planning || text !== planned) return;
  forecast = found;
  if (found && budget === null) suits = found.seconds;
  status(failed ?? (() => ""));
  showPlan();
}

function planAgain() {
  if (text && !problem) plan();
  else showPlan();
}

function cell() {
  return document.querySelector("input[name=cell]:checked").value;
}

/** The time that is chosen; null: what suits the text. */
function seconds() {
  return Number($("budget").value) || null;
}

let statusLine = () => "";

/** `words` gives the line that is shown, in whatever language is spoken when it is. */
function status(words) {
  statusLine = words;
  $("train-status").textContent = statusLine();
}

/* What is shown of it */

function showPlan() {
  $("corpus-facts").replaceChildren(...(text ? facts() : []));
  $("forecast").textContent = forecast ? forecastWords() : "";
  $("train-begin").disabled = !text || Boolean(problem) || running();
  const about = suits === null ? state.say("train_time_text") : state.say("train_time_text_about", { time: state.say.time(suits) });
  $("budget").options[0].textContent = about;
}

function facts() {
  const { say } = state;
  const percent = (value) => ({ percent: say.percent(value) });
  const lines = [
    say("train_facts", { count: say.count(text.characters), encoding: text.encoding }),
    text.guessed ? say("train_guessed") : null,
    text.others.length ? say("train_others", { others: text.others.join(", ") }) : null,
    text.small && !problem ? say("train_small") : null,
    text.repeated === null ? null : say("train_repeated", percent(text.repeated)),
    text.shared === null ? null : say("train_shared", percent(text.shared)),
  ];
  const begins = element("p", { class: "sample", dir: "auto", text: text.preview.replace(/\n{2,}/g, "\n").split("\n").map(visible).join("\n") });
  return [
    ...lines.filter(Boolean).map((line) => element("p", { class: "note", text: line })),
    element("h3", { text: say("train_preview") }),
    begins,
  ];
}

function forecastWords() {
  const { say } = state;
  const cores = forecast.cores > 1 ? say("cores", { n: say.count(forecast.cores) }) : say("core");
  const figures = {
    cell: forecast.cell,
    rows: forecast.rows,
    length: forecast.length,
    layers: forecast.layers,
    units: forecast.units,
    characters: say.count(forecast.characters),
    parameters: say.count(forecast.parameters),
    steps: say.count(forecast.steps),
    rate: say.short(forecast.rate),
    device: forecast.device === "cpu" ? cores : forecast.device,
    time: say.time(forecast.seconds),
    recipe: forecast.forgetful ? say("train_forgetful") : "",
  };
  return say(seconds() ? "train_forecast_budget" : "train_forecast", figures);
}

/* The training */

function running() {
  return course !== null && !course.over;
}

async function train() {
  const body = { text: text.text, title: corpus().title, cell: cell(), seconds: seconds() };
  $("train-begin").disabled = true;
  const started = await ask("train", body).catch((error) => void status(() => errorLine(error)));
  if (!started) return showPlan();
  status(() => "");
  course = new Course();
  course.take(started);
  showCourse();
  $("cancel").focus();
  await watch();
}

/** Follow the training until it is over, also over a connection that breaks. */
async function watch() {
  for (;;) {
    const lost = await follow();
    if (!lost || course?.over) return;
    $("course-line").textContent = lost.gone ? state.say("course_lost") : errorLine(lost);
    if (!lost.gone) return;
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

/** Take one stream's events; gives the error that ended it. */
async function follow() {
  const followed = new Course();
  try {
    for await (const event of events("watch")) {
      followed.take(event);
      course = followed;
      showCourse();
    }
  } catch (error) {
    return error;
  }
  if (!course.over) return Object.assign(new Error(), { gone: true });
  showPlan();
  if (course.model !== null) await onModel(course.model);
  showCourse();
  return null;
}

function showCourse() {
  if (!course) return;
  const { say } = state;
  $("course").hidden = false;
  $("course-name").textContent = say("course_of", { name: visible(course.name), cell: course.cell.toUpperCase() });
  const words = stateWords(course, say);
  if ($("course-state").textContent !== words) $("course-state").textContent = words;
  $("course-line").textContent = course.over ? "" : lineWords(course, say);
  $("progress").max = course.steps ?? 1;
  $("progress").value = course.step ?? 0;
  $("progress").hidden = course.over;
  const focused = document.activeElement === $("cancel");
  $("cancel").hidden = course.over;
  $("results").hidden = !course.over || course.model === null;
  if (!$("results").hidden) {
    $("download").href = `api/file/${course.model}`;
    $("download").download = `${course.name.replace(/\.[^.]*$/, "") || "model"}.safetensors`;
    if (focused) $("look-inside").focus();
  }
  $("curves").replaceChildren(...(course.training.length ? [curves(course, { say, width: Math.max(260, $("curves").clientWidth) })] : []));
  $("evaluations").hidden = !course.held_out.length;
  if ($("evaluations").open) showTable();
  $("samples").replaceChildren(...samples(course, say));
  $("written").hidden = !course.samples.length;
}

function showTable() {
  $("evaluation-rows").replaceChildren(evaluations(course, state.say));
}

/* The pane itself */

/** The same in other words. */
export function speakTraining() {
  const { say, about } = state;
  $("corpus-hint").textContent = say("train_hint", { least: say.count(about.shortest_text), most: `${say.count(about.largest_text / MEGABYTE)} MB` });
  $("encoding").options[0].textContent = say("train_encoding_auto");
  for (const option of [...$("budget").options].slice(1)) option.textContent = say.time(Number(option.value));
  $("progress").setAttribute("aria-label", say("course_progress"));
  $("evaluation-rows").setAttribute("aria-label", say("course_table"));
  $("train-status").textContent = statusLine();
  showPlan();
  showCourse();
}

/** The pane is seen: what depends on its width is drawn. */
export const redrawTraining = showCourse;

/** The button of one cell, and its label. */
function cellChoice(name) {
  const id = `cell-${name}`;
  const button = element("input", { type: "radio", name: "cell", id, value: name });
  button.checked = name === state.about.cell;
  return [button, element("label", { for: id, text: name.toUpperCase() })];
}

/** Begin; `joined(model)` is called when a trained model has joined the others, `look(model)` to look inside it. */
export function beginTraining({ joined, look }) {
  onModel = joined;
  $("cells").append(...state.about.cells.flatMap(cellChoice));
  $("encoding").append(element("option", { value: "" }), ...state.about.encodings.map((name) => element("option", { value: name, text: name })));
  $("corpus").addEventListener("input", () => {
    $("file").value = "";
    textChanged();
  });
  $("file").addEventListener("change", () => {
    $("corpus").value = "";
    check();
  });
  $("encoding").addEventListener("change", () => $("file").files.length && check());
  $("cells").addEventListener("change", () => {
    suits = null;
    planAgain();
  });
  $("budget").addEventListener("change", planAgain);
  $("train-begin").addEventListener("click", train);
  $("cancel").addEventListener("click", () => ask("cancel", {}).catch((error) => status(() => errorLine(error))));
  $("look-inside").addEventListener("click", () => look(course.model));
  $("evaluations").addEventListener("toggle", () => $("evaluations").open && showTable());
  speakTraining();
  if (state.about.training !== null) watch();
}
