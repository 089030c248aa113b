/**
 * What the local page and the exported file share: text marked by surprise, lists of odds, strips of units.
 *
 * Plain DOM without a framework. Whatever comes from a model or a person enters the document as text only. A view takes
 * its words from a `say(key, values)` function (messages.js) and its looks from style.css.
 *
 *   new Marks({ label, describe, onChoose, onPeek })   text to walk through; .element, .show(marks), .choose(index), .reveal()
 *   surpriseLevel(bits), unitLevel(value, largest)     which of the scales' steps a number is on
 *   graphemes(text)                                    offsets where a character as people see it ends
 *   visible(text)                                      one line in which control characters can be seen
 *   oddsList(odds, { actual, label, say })             likeliest tokens with their bars
 *   strip({ name, values, signed, ... })               one number per unit, to walk through; .element, .choose(unit)
 *   element(tag, options, ...children), svg(tag, attributes, ...children)
 */

const SVG = "http://www.w3.org/2000/svg";

/** Lower ends, in bits, of the steps 1 to 5 of the surprise scale; step 0 is what was expected. */
export const SURPRISE = [0.5, 1, 2, 4, 7];

/** An HTML element: `options` are class, text and attributes; children are nodes or texts, null ones left out. */
export function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") made.textContent = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** Step 0 to 5 of the surprise scale. */
export function surpriseLevel(bits) {
  return SURPRISE.filter((least) => bits >= least).length;
}

/** Step -4 to 4 of a unit's value on a scale that ends at `largest`. */
export function unitLevel(value, largest) {
  return largest > 0 ? Math.round((4 * value) / largest) : 0;
}

/** Offsets, in UTF-16 units, at which the characters that people see end. */
export function graphemes(text) {
  if (typeof Intl.Segmenter === "function") {
    const segments = new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text);
    return Array.from(segments, ({ index, segment }) => index + segment.length);
  }
  let end = 0;
  return Array.from(text, (character) => (end += character.length));
}

const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/gu;

/** The text with everything in it to be seen: a picture or a code for what would not show, or would turn the line. */
export function visible(text) {
  return text.replace(CONTROLS, (character) => {
    const code = character.codePointAt(0);
    if (character === "\n") return "↵";
    if (character === "\t") return "⇥";
    if (code === 0x200d) return character; // joins the parts of an emoji, and Indic letters
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return `⟨${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** A character to be read out or quoted. */
export function quoted(text) {
  return text === " " ? "␣" : visible(text);
}

/**
 * A text of marked characters with one of them chosen. Arrow keys walk it, a pointer chooses, hovering peeks.
 *
 * To a screen reader it is a slider whose value is the character; `describe(index)` says it.
 */
export class Marks {
  constructor({ label, describe, onChoose, onPeek }) {
    this.describe = describe;
    this.onChoose = onChoose;
    this.onPeek = onPeek;
    this.chosen = 0;
    this.spans = [];
    this.element = element("div", {
      class: "marks",
      role: "slider",
      tabindex: "0",
      dir: "auto",
      "aria-label": label,
      "aria-orientation": "horizontal",
    });
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.element.addEventListener("pointerover", (event) => this.#peek(this.#at(event)));
    this.element.addEventListener("pointerleave", () => this.#peek(null));
    this.element.addEventListener("click", (event) => {
      const index = this.#at(event);
      if (index !== null) this.#move(index);
    });
  }

  /** Show marks `{ text, level, kind }`; `kind` is the scale, "s" (surprise) or "u" (unit). */
  show(marks) {
    this.spans = marks.map((mark, index) => span(mark, index));
    const parts = this.spans.flatMap((part, index) =>
      marks[index].text.endsWith("\n") ? [part, document.createElement("br")] : [part],
    );
    this.element.replaceChildren(...parts);
    this.element.setAttribute("aria-valuemin", "1");
    this.element.setAttribute("aria-valuemax", String(Math.max(1, marks.length)));
    this.choose(Math.min(this.chosen, Math.max(0, marks.length - 1)));
  }

  /** Scroll the text, and nothing around it, to the chosen mark. */
  reveal() {
    const part = this.spans[this.chosen];
    if (!part) return;
    const [box, around] = [part.getBoundingClientRect(), this.element.getBoundingClientRect()];
    if (box.bottom > around.bottom || box.top < around.top) this.element.scrollTop += box.bottom - around.bottom + box.height;
  }

  /** Give the marks that are shown other steps of a scale. */
  level(levels, kind) {
    this.spans.forEach((part, index) => (part.className = className(kind, levels[index])));
    this.choose(this.chosen);
  }

  /** Make one mark the chosen one, without telling. */
  choose(index) {
    this.spans[this.chosen]?.classList.remove("chosen");
    this.chosen = index;
    this.spans[index]?.classList.add("chosen");
    this.element.setAttribute("aria-valuenow", String(index + 1));
    this.element.setAttribute("aria-valuetext", this.spans.length ? this.describe(index) : "");
  }

  #at(event) {
    const part = event.target.closest?.("[data-index]");
    return part && this.element.contains(part) ? Number(part.dataset.index) : null;
  }

  #peek(index) {
    this.onPeek?.(index);
  }

  #move(index) {
    const next = Math.max(0, Math.min(this.spans.length - 1, index));
    this.choose(next);
    this.spans[next]?.scrollIntoView({ block: "nearest" });
    this.onChoose?.(next);
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const rightToLeft = getComputedStyle(this.element).direction === "rtl" ? -1 : 1;
    const next = {
      ArrowRight: () => this.chosen + rightToLeft,
      ArrowLeft: () => this.chosen - rightToLeft,
      ArrowDown: () => this.#line(1),
      ArrowUp: () => this.#line(-1),
      PageDown: () => this.chosen + 20,
      PageUp: () => this.chosen - 20,
      Home: () => 0,
      End: () => this.spans.length - 1,
    }[event.key];
    if (!next || !this.spans.length) return;
    event.preventDefault();
    this.#move(next());
  }

  /** The mark nearest above or below the chosen one. */
  #line(direction) {
    const from = this.spans[this.chosen].getBoundingClientRect();
    let best = null;
    for (let at = this.chosen + direction; at >= 0 && at < this.spans.length; at += direction) {
      const box = this.spans[at].getBoundingClientRect();
      if (Math.abs(box.top - from.top) < from.height / 2) continue;
      if (best && Math.abs(box.top - best.top) > from.height / 2) break;
      const distance = Math.abs(box.left - from.left);
      if (!best || distance < best.distance) best = { at, top: box.top, distance };
    }
    return best ? best.at : this.chosen;
  }
}

function className(kind, level) {
  return `mark ${kind}${level}`;
}

function span(mark, index) {
  const shown = visible(mark.text);
  const odd = shown !== mark.text;
  return element("span", { class: className(mark.kind, mark.level), "data-index": index }, odd ? sign(shown) : shown);
}

function sign(text) {
  return element("span", { class: "sign", text });
}

/**
 * The likeliest tokens, `[text, probability]` each, with a bar and a percentage; the one that came is said to be it.
 */
export function oddsList(odds, { actual = null, label, say }) {
  const rows = odds.map(([token, probability]) => {
    const here = actual !== null && token === actual;
    const bar = element("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", String(Math.max(0, Math.min(1, probability))));
    return element(
      "li",
      { class: here ? "actual" : null },
      element("span", { class: "token" }, element("bdi", { text: quoted(token) })),
      bar,
      element("span", { class: "n", text: say.percent(probability) }),
      here ? element("span", { class: "unseen", text: say("came") }) : null,
    );
  });
  return element("ol", { class: "odds", "aria-label": label }, ...rows);
}

/**
 * One number per unit as bars: from the foot where they run from 0 to 1, from the middle where they have a sign and end
 * at `largest`. Arrow keys and the pointer choose the unit; `describe(unit, value)` says it.
 */
export function strip({ name, letter, values, signed, largest, describe, onChoose, say }) {
  const middle = signed ? 50 : 100;
  const path = values
    .map((value, unit) => `M${unit + 0.5} ${middle}V${middle - ((value ?? 0) / largest) * (signed ? 48 : 98)}`)
    .join("");
  const cursor = svg("path", { class: "cursor", "vector-effect": "non-scaling-stroke" });
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${values.length} 100`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("path", { class: "axis", d: `M0 ${middle}H${values.length}`, "vector-effect": "non-scaling-stroke" }),
    svg("path", { class: "bars", d: path, "stroke-width": values.length > 40 ? 0.8 : 0.6 }),
    cursor,
  );
  const frame = element(
    "div",
    {
      class: "strip-frame",
      role: "slider",
      tabindex: "0",
      "aria-label": name,
      "aria-valuemin": "0",
      "aria-valuemax": String(values.length - 1),
    },
    picture,
  );
  const number = element("span", { class: "n strip-number" });
  let chosen = 0;
  function choose(unit) {
    chosen = Math.max(0, Math.min(values.length - 1, unit));
    cursor.setAttribute("d", `M${chosen + 0.5} 0V100`);
    number.textContent = say.number(values[chosen], 2);
    frame.setAttribute("aria-valuenow", String(chosen));
    frame.setAttribute("aria-valuetext", describe(chosen, values[chosen]));
  }
  function tell(unit) {
    choose(unit);
    onChoose?.(chosen);
  }
  frame.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    const end = { Home: 0, End: values.length - 1 }[event.key];
    if (step === undefined && end === undefined) return;
    event.preventDefault();
    tell(end ?? chosen + step);
  });
  frame.addEventListener("click", (event) => {
    const box = frame.getBoundingClientRect();
    tell(Math.floor(((event.clientX - box.left) / box.width) * values.length));
  });
  choose(0);
  const heading = element(
    "span",
    { class: "strip-name" },
    element("var", { text: letter }),
    " ",
    element("span", { text: name }),
    signed && largest > 1 ? element("small", { text: ` ±${say.number(largest, 1)}` }) : null,
  );
  return { element: element("div", { class: "strip" }, heading, frame, number), choose, frame };
}
