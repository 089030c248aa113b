/** How a training goes: its curves, what it writes, what is to be said of it. */

import { linePlot, table } from "./plots.js";
import { element, visible } from "./views.js";

const SAMPLES = 3; // the newest ones, which are shown

/** Whether a training in this state is over. */
export function over(state) {
  return state === "done" || state === "stopped" || state === "failed";
}

/** What the events of one training add up to. */
export class Course {
  constructor() {
    this.training = [];
    this.held_out = [];
    this.samples = [];
  }

  /** Take an event: it replaces what is known, and goes on with the three lists. */
  take({ training, held_out, samples, ...known }) {
    Object.assign(this, known);
    this.training.push(...training);
    this.held_out.push(...held_out);
    this.samples.push(...samples);
  }

  get over() {
    return over(this.state);
  }

  /** The evaluation with the fewest bits; null before the first. */
  get lowest() {
    return this.held_out.reduce((lowest, each) => (lowest === null || each[1] < lowest[1] ? each : lowest), null);
  }

  /** Training bits where an evaluation was. */
  trainingAt(step) {
    return this.training.findLast(([at]) => at <= step)?.[1] ?? null;
  }
}

/** The state in a few words, which is read out when it changes. */
export function stateWords(course, say) {
  const { state } = course;
  if (state === "starting") return say("course_starting");
  if (state === "stopping") return say("course_stopping");
  if (state === "failed") return say("course_failed", { line: course.error });
  if (state === "stopped") return stoppedWords(course, say);
  const diagnosed = diagnosisWords(course, say);
  return sentences(say, state === "done" ? doneWords(course, say) : say("course_running"), diagnosed);
}

function sentences(say, ...said) {
  return said.filter(Boolean).join(say.language === "zh-Hans" ? "" : " ");
}

function doneWords(course, say) {
  const { best, words, words_unit: unit, early, seconds } = course;
  const time = say.time(seconds);
  const figures = { time, best: say.number(best, 2), words: say.percent(words ?? 0) };
  const said = best === null || words === null ? say("course_done_plain", { time }) : say(unit === "words" ? "course_done" : "course_done_pairs", figures);
  return sentences(say, said, early ? say("course_early") : "");
}

function stoppedWords(course, say) {
  if (course.model === null) return say("course_stopped_nothing");
  return course.lowest ? say("course_stopped", { best: say.number(course.lowest[1], 2) }) : say("course_stopped_plain");
}

function diagnosisWords(course, say) {
  const { diagnosis, lowest } = course;
  if (diagnosis === "learned little") return say("diagnosis_little");
  if (diagnosis === "improving") return say("diagnosis_improving");
  if (diagnosis === "annealed") return say("diagnosis_annealed");
  if (diagnosis === "level") return say("diagnosis_level");
  if (diagnosis === "short") return say("diagnosis_short");
  if (diagnosis === "diverged") return say("diagnosis_diverged");
  if (diagnosis !== "overfitting" || !lowest) return "";
  return say("diagnosis_overfitting", {
    step: say.count(lowest[0]),
    best: say.number(lowest[1], 2),
    last: say.number(course.held_out.at(-1)[1], 2),
    training: say.number(course.training.at(-1)[1], 2),
  });
}

/** The numbers of now, on one line. */
export function lineWords(course, say) {
  if (!course.step) return "";
  return say("course_line", {
    step: say.count(course.step),
    steps: say.count(course.steps),
    time: say.time(course.left),
    rate: say.count(Math.round(course.rate)),
    training: say.number(course.training.at(-1)[1], 2),
    held_out: course.held_out.length ? say.number(course.held_out.at(-1)[1], 2) : "–",
  });
}

/** Both curves; the held-out one has a dot for each evaluation. */
export function curves(course, { say, width }) {
  const { lowest } = course;
  const name = say("course_held_out") + (lowest ? `, ${say("course_best", { bits: say.number(lowest[1], 2) })}` : "");
  return linePlot({
    series: [
      { name: say("course_training"), className: "second", points: course.training },
      { name, className: "first", points: course.held_out, dots: true },
    ],
    xLabel: say("course_step"),
    yLabel: say("course_bits"),
    width,
    say,
    label: say("course_curve"),
  });
}

/** The table of every evaluation. */
export function evaluations(course, say) {
  const columns = [say("course_step"), say("course_training"), say("course_held_out")];
  const rows = course.held_out.map(([step, bits]) => [say.count(step), course.trainingAt(step), bits]);
  return table(columns, rows, say);
}

/** The newest samples, the newest first. */
export function samples(course, say) {
  return course.samples.slice(-SAMPLES).reverse().map(([step, text]) =>
    element(
      "li",
      {},
      element("span", { class: "note", text: step === null ? say("course_sample_kept") : say("course_sample_at", { step: say.count(step) }) }),
      element("p", { class: "sample", dir: "auto", text: text.split("\n").map(visible).join("\n") }),
    ),
  );
}
