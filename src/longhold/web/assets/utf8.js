/** Which tokens may come next, so that what is written is UTF-8: the twin of longhold.data.tokenizers.utf8. */

/** The state between two characters. */
export const GROUND = 0;

const LOST = 8;

// In each state the bytes that may come, from, to, and the state after them (table 3-7 of the Unicode Standard).
const BYTES = [
  [
    [0x00, 0x7f, GROUND],
    [0xc2, 0xdf, 1],
    [0xe0, 0xe0, 4],
    [0xe1, 0xec, 2],
    [0xed, 0xed, 5],
    [0xee, 0xef, 2],
    [0xf0, 0xf0, 6],
    [0xf1, 0xf3, 3],
    [0xf4, 0xf4, 7],
  ],
  [[0x80, 0xbf, GROUND]],
  [[0x80, 0xbf, 1]],
  [[0x80, 0xbf, 2]],
  [[0xa0, 0xbf, 1]],
  [[0x80, 0x9f, 1]],
  [[0x90, 0xbf, 2]],
  [[0x80, 0x8f, 2]],
];

function afterByte(state, byte) {
  const range = BYTES[state].find(([first, last]) => first <= byte && byte <= last);
  return range ? range[2] : LOST;
}

function strictly(state, bytes) {
  for (let k = 0; k < bytes.length && state !== LOST; k += 1) state = afterByte(state, bytes[k]);
  return state;
}

/** The state after bytes that are there whether they may or not: an invalid one begins anew, or is passed over. */
function leniently(state, bytes) {
  for (const byte of bytes) {
    let next = afterByte(state, byte);
    if (next === LOST) next = afterByte(GROUND, byte);
    state = next === LOST ? GROUND : next;
  }
  return state;
}

/** Which ids may follow each other in a vocabulary, given the bytes of each id. */
export class Continuations {
  #tokens;
  #alive;
  #allowed;

  constructor(tokens) {
    this.#tokens = tokens;
    const after = BYTES.map((_, state) => tokens.map((token) => strictly(state, token)));
    this.#alive = completable(after);
    this.#allowed = after.map((row) => row.map((next) => next !== LOST && this.#alive[next]));
    const [whole, first] = [after[GROUND], this.#allowed[GROUND]];
    if (whole.every((next) => next === GROUND) || !first.includes(true)) this.#allowed = null;
  }

  /** Of each id, whether it may come in a state; null where any may follow any other. */
  allowed(state) {
    return this.#allowed && this.#allowed[state];
  }

  /** The state after an id, whether it may come or not. */
  after(state, id) {
    const next = leniently(state, this.#tokens[id]);
    return this.#alive[next] ? next : GROUND;
  }
}

/** Of each state, whether some tokens lead from it to the end of a character. */
function completable(after) {
  const alive = BYTES.map((_, state) => state === GROUND);
  for (let round = 0; round < BYTES.length; round += 1) {
    after.forEach((row, state) => {
      alive[state] ||= row.some((next) => next !== LOST && alive[next]);
    });
  }
  return alive;
}
