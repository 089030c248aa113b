/**
 * A language model in integers, one token at a time: the twin of longhold.integer.
 *
 * Every number is an integer below 2^53, which a number of JavaScript holds exactly, so what is computed here is bit for
 * bit what Python computes. docs/math/integer.md says what that is. No dependencies; browsers and Node.
 */

export const UNIT = 65536;
export const TOTAL = 16777216;

const STEP = 512;
const LARGEST_C = 2147483648;
const LARGEST_TEMPERATURE = 1000;
const FORMAT = "longhold-integer";
const VERSION = 1;
const MOST_KEPT = 4194304;

const ARRAYS = { int8: [Int8Array, 1], int16: [Int16Array, 2], int32: [Int32Array, 4] };

/** Bytes of base64. */
export function bytesOf(base64) {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let k = 0; k < bytes.length; k += 1) bytes[k] = binary.charCodeAt(k);
  return bytes;
}

/** A packed array, whatever the byte order of the machine. */
function arrayOf({ type, data }) {
  const [Kind, width] = ARRAYS[type];
  const bytes = bytesOf(data);
  const view = new DataView(bytes.buffer);
  const array = new Kind(bytes.length / width);
  const read = { 1: "getInt8", 2: "getInt16", 4: "getInt32" }[width];
  for (let k = 0; k < array.length; k += 1) array[k] = view[read](k * width, true);
  return array;
}

function powerOfTwo(exponent) {
  let power = 1;
  for (let k = 0; k < exponent; k += 1) power *= 2;
  return power;
}

/** w[r, k] = values[r, k] * multiplier[r] / 2^shift[r]. */
class Matrix {
  constructor(data) {
    [this.rows, this.columns] = data.values.shape;
    this.values = arrayOf(data.values);
    this.multiplier = Float64Array.from(arrayOf(data.multiplier));
    this.divisor = Float64Array.from(arrayOf(data.shift), powerOfTwo);
  }

  /** out[r] = floor(sum_k w[r, k] x[k] + 1/2) + bias[r] for the rows from `first`, as many as `out` has. */
  product(x, bias, out, first = 0) {
    const { values, columns, multiplier, divisor } = this;
    for (let r = 0; r < out.length; r += 1) {
      const row = first + r;
      let sum = 0;
      for (let k = 0, at = row * columns; k < columns; k += 1, at += 1) sum += values[at] * x[k];
      out[r] = Math.floor((sum * multiplier[row]) / divisor[row] + 0.5) + bias[row];
    }
  }

  /** out[r] = floor(w[r, id] UNIT + 1/2) + bias[r]: the product with a one-hot vector. */
  column(id, bias, out) {
    for (let r = 0; r < out.length; r += 1) {
      const sum = this.values[r * this.columns + id] * UNIT;
      out[r] = Math.floor((sum * this.multiplier[r]) / this.divisor[r] + 0.5) + bias[r];
    }
  }

  /** out[k] = floor(w[id, k] UNIT + 1/2): the vector that stands for an id. */
  row(id, out) {
    for (let k = 0; k < out.length; k += 1) {
      const value = this.values[id * this.columns + k] * UNIT;
      out[k] = Math.floor((value * this.multiplier[id]) / this.divisor[id] + 0.5);
    }
  }
}

/** A table as a function on numbers >= 0, linear between two entries. */
function lookup(table, a) {
  const reached = Math.min(a, (table.length - 2) * STEP);
  const index = Math.floor(reached / STEP);
  const slope = table[index + 1] - table[index];
  return table[index] + Math.floor((slope * (reached - index * STEP)) / STEP + 0.5);
}

class Tables {
  constructor(data) {
    this.sigmoidTable = arrayOf(data.sigmoid);
    this.tanhTable = arrayOf(data.tanh);
    this.expTable = arrayOf(data.exp);
  }

  sigmoid(a) {
    return a < 0 ? UNIT - lookup(this.sigmoidTable, -a) : lookup(this.sigmoidTable, a);
  }

  tanh(a) {
    return a < 0 ? -lookup(this.tanhTable, -a) : lookup(this.tanhTable, a);
  }

  exp(a) {
    return lookup(this.expTable, a);
  }
}

/** The product of two numbers in units of 1 / UNIT. */
function times(a, b) {
  return Math.floor((a * b) / UNIT + 0.5);
}

/** Each cell: what it reads of `model` is shared, its state is passed in and overwritten. */
const CELLS = {
  rnn: {
    fields: 1,
    letters: () => [],
    step({ tables, size }, layer, x, [h]) {
      const share = new Float64Array(size);
      layer.hh.product(h, layer.biasHH, share);
      for (let k = 0; k < size; k += 1) h[k] = tables.tanh(x[k] + share[k]);
      return [];
    },
  },
  gru: {
    fields: 1,
    letters: () => ["r", "z", "n"],
    step({ tables, size, resetAfter }, layer, x, [h]) {
      const share = new Float64Array(2 * size);
      const ofN = new Float64Array(size);
      const [r, z, n] = [0, 1, 2].map(() => new Float64Array(size));
      layer.hh.product(h, layer.biasHH, share);
      for (let k = 0; k < size; k += 1) {
        r[k] = tables.sigmoid(x[k] + share[k]);
        z[k] = tables.sigmoid(x[size + k] + share[size + k]);
      }
      const read = resetAfter ? h : h.map((value, k) => times(r[k], value));
      layer.hh.product(read, layer.biasHH, ofN, 2 * size);
      for (let k = 0; k < size; k += 1) {
        n[k] = tables.tanh(x[2 * size + k] + (resetAfter ? times(r[k], ofN[k]) : ofN[k]));
        h[k] = n[k] + times(z[k], h[k] - n[k]);
      }
      return [r, z, n];
    },
  },
  lstm: {
    fields: 2,
    letters: () => ["i", "f", "g", "o"],
    step({ tables, size, coupled }, layer, x, [h, c]) {
      const share = new Float64Array(layer.hh.rows);
      const [i, f, g, o] = [0, 1, 2, 3].map(() => new Float64Array(size));
      const [atG, atO] = coupled ? [size, 2 * size] : [2 * size, 3 * size];
      layer.hh.product(h, layer.biasHH, share);
      for (let k = 0; k < size; k += 1) {
        i[k] = tables.sigmoid(x[k] + share[k]);
        f[k] = coupled ? UNIT - i[k] : tables.sigmoid(x[size + k] + share[size + k]);
        g[k] = tables.tanh(x[atG + k] + share[atG + k]);
        o[k] = tables.sigmoid(x[atO + k] + share[atO + k]);
        const next = Math.floor((f[k] * c[k] + i[k] * g[k]) / UNIT + 0.5);
        c[k] = Math.max(-LARGEST_C, Math.min(LARGEST_C, next));
        h[k] = times(o[k], tables.tanh(c[k]));
      }
      return [i, f, g, o];
    },
  },
};

class Layer {
  constructor(data) {
    this.ih = new Matrix(data.weight_ih);
    this.hh = new Matrix(data.weight_hh);
    this.biasIH = arrayOf(data.bias_ih);
    this.biasHH = arrayOf(data.bias_hh);
    this.initial = data.initial.map(arrayOf);
    this.zoneout = data.zoneout;
  }
}

/** What the steppers of one model share. */
class Weights {
  constructor(packed) {
    if (packed?.format !== FORMAT) throw new Error(`not a packed model: expected format ${FORMAT}`);
    if (packed.version !== VERSION) throw new Error(`packed model of version ${packed.version}, expected ${VERSION}`);
    this.cell = CELLS[packed.cell];
    this.size = packed.hidden_size;
    this.resetAfter = packed.reset_after;
    this.coupled = packed.coupled_gates;
    this.tables = new Tables(packed.tables);
    this.layers = packed.layers.map((layer) => new Layer(layer));
    this.output = new Matrix(packed.output);
    this.outputBias = arrayOf(packed.output_bias);
    this.kept = new Map();
    this.embedding = packed.embedding === "output" ? this.output : packed.embedding && new Matrix(packed.embedding);
  }
}

/** A model in use, from what longhold.integer.packed made. */
export class Stepper {
  #weights;
  #states;
  #gates;
  #logits;
  #stepped;

  constructor(packed) {
    this.#weights = packed instanceof Weights ? packed : new Weights(packed);
    this.#logits = new Float64Array(this.#weights.output.rows);
    this.reset();
  }

  /** Number of token ids. */
  get vocabSize() {
    return this.#weights.output.rows;
  }

  /** Another stepper on the same weights, from the state before the first token. */
  fork() {
    return new Stepper(this.#weights);
  }

  /** Back to the state before the first token. */
  reset() {
    this.#states = this.#weights.layers.map((layer) => layer.initial.map((field) => Float64Array.from(field)));
    this.#gates = this.#weights.layers.map(() => []);
    this.#stepped = false;
  }

  /** Read one token; what comes next as frequencies: integers >= 1 with the sum 2^24. */
  step(id) {
    if (!Number.isInteger(id) || id < 0 || id >= this.vocabSize) {
      throw new RangeError(`id ${id}: expected an integer from 0 to ${this.vocabSize - 1}`);
    }
    const { layers, output, outputBias } = this.#weights;
    layers.forEach((layer, row) => {
      const x = row === 0 ? this.#read(layer, id) : this.#share(layer, this.#states[row - 1][0]);
      this.#advance(layer, row, x);
    });
    output.product(this.#states[layers.length - 1][0], outputBias, this.#logits);
    this.#stepped = true;
    return this.frequencies();
  }

  /**
   * The last step's frequencies at another temperature, in whole hundredths; 0 leaves the likeliest token alone. Where
   * `allowed` says which tokens may come, all others have frequency 1, which `draw` never draws.
   */
  frequencies(temperature = 100, allowed = null) {
    if (!this.#stepped) throw new Error("there are no frequencies before the first step");
    if (!Number.isInteger(temperature) || temperature < 0 || temperature > LARGEST_TEMPERATURE) {
      throw new RangeError(`temperature ${temperature}: expected whole hundredths from 0 to ${LARGEST_TEMPERATURE}`);
    }
    const logits = this.#logits;
    const best = likeliest(logits, allowed);
    const found = new Float64Array(logits.length);
    if (best < 0) throw new Error("no token is allowed, expected at least one");
    if (temperature === 0) {
      found[best] = 1;
    } else {
      for (let v = 0; v < found.length; v += 1) {
        if (allowed && !allowed[v]) continue;
        const below = logits[best] - logits[v];
        found[v] = this.#weights.tables.exp(temperature === 100 ? below : Math.floor((below * 100) / temperature));
      }
    }
    return completed(found, best);
  }

  /** State and gates of every layer after the last step: { h, c, gates: { i, f, g, o } } in numbers from -1 to 1. */
  gates() {
    const shown = (field) => Array.from(field, (value) => value / UNIT);
    return this.#states.map(([h, c], row) => ({
      h: shown(h),
      c: c ? shown(c).map(Math.tanh) : null,
      gates: Object.fromEntries(this.#gates[row].map((gate, k) => [this.#weights.cell.letters()[k], shown(gate)])),
    }));
  }

  /** The first layer's share of its input, which depends on the id alone and is kept. */
  #read(layer, id) {
    const { kept } = this.#weights;
    const known = kept.get(id);
    if (known) return known;
    const x = this.#readAnew(layer, id);
    if (kept.size * x.length < MOST_KEPT) kept.set(id, x);
    return x;
  }

  #readAnew(layer, id) {
    const { embedding } = this.#weights;
    if (embedding) {
      const embedded = new Float64Array(embedding.columns);
      embedding.row(id, embedded);
      return this.#share(layer, embedded);
    }
    const x = new Float64Array(layer.ih.rows);
    layer.ih.column(id, layer.biasIH, x);
    return x;
  }

  #share(layer, below) {
    const x = new Float64Array(layer.ih.rows);
    layer.ih.product(below, layer.biasIH, x);
    return x;
  }

  #advance(layer, row, x) {
    const state = this.#states[row];
    const old = layer.zoneout.some(Boolean) ? state.map((field) => field.slice()) : null;
    this.#gates[row] = this.#weights.cell.step(this.#weights, layer, x, state);
    layer.zoneout.forEach((rate, field) => {
      if (!rate) return;
      const [now, before] = [state[field], old[field]];
      for (let k = 0; k < now.length; k += 1) {
        now[k] = Math.floor((rate * before[k] + (UNIT - rate) * now[k]) / UNIT + 0.5);
      }
    });
  }
}

/** Index of the first of the largest, among the allowed where some are not; -1 where none is. */
function likeliest(numbers, allowed) {
  let best = -1;
  for (let v = 0; v < numbers.length; v += 1) {
    if ((!allowed || allowed[v]) && (best < 0 || numbers[v] > numbers[best])) best = v;
  }
  return best;
}

/** Weights to frequencies in place: 1 + floor(w (TOTAL - V) / sum), and what is left for the likeliest. */
function completed(weights, best) {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const room = TOTAL - weights.length;
  let rest = TOTAL;
  for (let v = 0; v < weights.length; v += 1) {
    weights[v] = Math.floor((weights[v] * room) / total) + 1;
    rest -= weights[v];
  }
  weights[best] += rest;
  return weights;
}

/** xoshiro128** (Blackman and Vigna 2021), seeded with two numbers of SplitMix64; seeds from 0 to 2^53 - 1. */
export class IntegerGenerator {
  #state;

  constructor(seed) {
    if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError(`seed ${seed}: expected 0 to 2^53 - 1`);
    this.#state = new Uint32Array(4);
    let state = BigInt(seed);
    for (const k of [0, 2]) {
      state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
      const number = mixed(state);
      this.#state[k] = Number(number & 0xffffffffn);
      this.#state[k + 1] = Number(number >> 32n);
    }
  }

  /** The next 32 bits. */
  word() {
    const s = this.#state;
    const result = Math.imul(rotated(Math.imul(s[1], 5), 7), 9) >>> 0;
    const shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotated(s[3], 11);
    return result;
  }

  /** An integer from 0 to limit - 1, each as likely; limit from 1 to 2^24. */
  below(limit) {
    if (!Number.isInteger(limit) || limit < 1 || limit > TOTAL) throw new RangeError(`limit ${limit}: expected 1 to 2^24`);
    const shift = Math.min(31, Math.clz32(limit - 1));
    for (;;) {
      const number = this.word() >>> shift;
      if (number < limit) return number;
    }
  }
}

function mixed(state) {
  let number = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
  number = BigInt.asUintN(64, (number ^ (number >> 27n)) * 0x94d049bb133111ebn);
  return number ^ (number >> 31n);
}

function rotated(word, by) {
  return ((word << by) | (word >>> (32 - by))) >>> 0;
}

/** One token by its frequency less 1: that 1 is there so that every token can be coded, not to be written. */
export function draw(frequencies, generator) {
  let above = generator.below(TOTAL - frequencies.length);
  let token = 0;
  for (; above >= frequencies[token] - 1; token += 1) above -= frequencies[token] - 1;
  return token;
}

/** Ids to text as they come; a piece holds whole characters only. */
export class StreamDecoder {
  #tokens;
  #decoder;

  constructor(packed) {
    this.#tokens = packed.tokens.map(bytesOf);
    this.flush();
  }

  /** The characters that the token completes; empty while one is still incomplete. */
  push(id) {
    return this.#decoder.decode(this.#tokens[id], { stream: true });
  }

  /** U+FFFD if the last character never became whole, else nothing; the decoder then starts afresh. */
  flush() {
    const rest = this.#decoder ? this.#decoder.decode() : "";
    this.#decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return rest;
  }
}

/**
 * Text to ids. Characters and bytes by the tokenizer's own rule; for words and byte pairs the longest token that fits,
 * from the left, which is the same text in other pieces. What the vocabulary lacks is spelled in bytes where it has
 * them, else left out and told in `unknown`.
 */
export class Encoder {
  #ids;
  #bytes;
  #longest;
  #characters;

  constructor(packed) {
    const tokens = packed.tokens.map(bytesOf);
    this.#characters = packed.tokenizer === "char";
    const own = packed.tokenizer === "byte" || (this.#characters && packed.byte_fallback) ? tokens.length - 256 : tokens.length;
    this.#ids = new Map(tokens.slice(0, own).map((token, id) => [latin(token), id]));
    this.#bytes = new Map();
    tokens.forEach((token, id) => {
      if (token.length === 1 && (!this.#characters || id >= own)) this.#bytes.set(token[0], id);
    });
    this.#longest = Math.max(1, ...tokens.map((token) => token.length));
  }

  /** { ids, unknown }: unknown are the characters that no token can spell. */
  encode(text) {
    const ids = [];
    const unknown = [];
    const encoder = new TextEncoder();
    const pieces = this.#characters ? Array.from(text, (c) => encoder.encode(c)) : this.#pieces(encoder.encode(text));
    for (const piece of pieces) {
      const id = this.#ids.get(latin(piece));
      const spelled = id === undefined ? Array.from(piece, (byte) => this.#bytes.get(byte)) : [id];
      if (spelled.includes(undefined)) unknown.push(new TextDecoder().decode(piece));
      else ids.push(...spelled);
    }
    return { ids, unknown };
  }

  *#pieces(bytes) {
    for (let at = 0; at < bytes.length; ) {
      let end = Math.min(bytes.length, at + this.#longest);
      while (end > at + 1 && !this.#ids.has(latin(bytes.subarray(at, end)))) end -= 1;
      yield bytes.subarray(at, end);
      at = end;
    }
  }
}

/** The ids of `text`, without what no token can spell; see Encoder. */
export function encode(packed, text) {
  return new Encoder(packed).encode(text).ids;
}

/** Bytes as a string of as many characters, to look them up by. */
function latin(bytes) {
  return String.fromCharCode(...bytes);
}
