/** One model beside the text: what it read, what is chosen in it, and what the server knows of it. */

import { ask } from "./server.js";
import { graphemes } from "./views.js";

/** One model and what it read. */
export class Pane {
  constructor(model, info) {
    this.model = model;
    this.info = info;
    this.trace = null;
    this.marks = [];
    this.steps = new Map();
    this.layer = this.info.layers - 1;
    this.unit = 0;
    this.quantity = null;
    this.found = null;
    this.view = null;
    this.lag = null;
    this.problem = null; // the line that says why it has not read the text
    this.inside = null;
    this.worked = null;
    this.scores = null;
    this.values = null;
  }

  /** Hold a new reading. */
  take(answer) {
    this.trace = answer;
    this.steps.clear();
    this.lag = null;
    this.values = null;
    this.marks = joined(answer);
  }

  /** The index of the mark that ends at `offset`, or holds it. */
  at(offset) {
    const found = this.marks.findIndex((mark) => mark.end >= offset);
    return found < 0 ? this.marks.length - 1 : found;
  }

  /** The largest gradient of the chosen character's surprise by any input. */
  get largestGradient() {
    return Math.max(...this.lag.by_input);
  }

  /** For each mark the largest gradient of the chosen character's surprise by one of its tokens, as a share. */
  get gradientShares() {
    const shares = new Map();
    if (!this.lag) return shares;
    const largest = this.largestGradient;
    this.marks.forEach((mark, at) => {
      for (let place = mark.first; place <= mark.last; place++) {
        const value = this.lag.by_input[this.lag.place - 1 - place];
        if (value !== undefined && largest > 0) shares.set(at, Math.max(shares.get(at) ?? 0, value / largest));
      }
    });
    return shares;
  }

  /** States, gates and odds at a mark; requested once. */
  async step(index) {
    const { last } = this.marks[index];
    if (!this.steps.has(last)) {
      const answer = ask("step", { trace: this.trace.trace, place: last });
      this.steps.set(last, answer);
      answer.catch(() => this.steps.delete(last));
    }
    const { first, bits, text: shown } = this.marks[index];
    const found = await this.steps.get(last);
    return first === last ? { ...found, shown } : { ...found, shown, bits };
  }
}

/** The pieces of an answer joined to characters as people see them: `{ text, bits, first, last, end }`. */
function joined({ pieces, starts, bits, tokens }) {
  const borders = new Set(graphemes(pieces.join("")));
  const marks = [];
  let open = null;
  let end = 0;
  pieces.forEach((piece, at) => {
    end += piece.length;
    const last = (at + 1 < starts.length ? starts[at + 1] : tokens) - 1;
    open ??= { text: "", bits: 0, first: starts[at] };
    open = { ...open, text: open.text + piece, bits: open.bits + (bits[at] ?? 0), last, end };
    if (borders.has(end) || at + 1 === pieces.length) {
      marks.push(open);
      open = null;
    }
  });
  return marks;
}
