/** The model of the exported file as it reads and writes. */

import { Encoder, IntegerGenerator, Stepper, StreamDecoder, TOTAL, bytesOf, draw } from "./stepper.js";
import { Continuations, GROUND } from "./utf8.js";
import { quoted } from "./views.js";

const SHORTEST_TURN = 16; // tokens: a short prime is read at once, however busy the machine is

/** The model as it writes: what it has read, what it expects, and the generator that draws. */
export class Scribe {
  constructor(packed) {
    this.packed = packed;
    this.stepper = new Stepper(packed);
    this.encoder = new Encoder(packed);
    this.decoder = new StreamDecoder(packed);
    this.continuations = new Continuations(packed.tokens.map(bytesOf));
    this.begin("", 0);
    this.read(0);
  }

  /** Begin with the prime, which `read` then reads, or the token after which texts begin; returns what of it no token
   * can spell. */
  begin(prime, seed) {
    this.generator = new IntegerGenerator(seed);
    this.decoder.flush();
    this.stepper.reset();
    this.count = 0;
    this.place = GROUND;
    const { ids, unknown } = this.encoder.encode(prime);
    this.prime = ids.length ? ids : [this.packed.start];
    this.done = 0;
    return unknown;
  }

  /** Read on in the prime for so many milliseconds; whether all of it is read. */
  read(milliseconds) {
    const [least, end] = [this.done + SHORTEST_TURN, performance.now() + milliseconds];
    while (this.done < this.prime.length && (this.done < least || performance.now() < end)) {
      this.take(this.prime[this.done]);
      this.done += 1;
    }
    return this.done === this.prime.length;
  }

  take(token) {
    this.expected = this.stepper.step(token);
    this.place = this.continuations.after(this.place, token);
  }

  /** Whether text that goes on with this token is UTF-8. */
  allows(token) {
    return this.continuations.allowed(this.place)?.[token] ?? true;
  }

  /** What is drawn from: the frequencies of the tokens that may come, 1 for all others. */
  odds(temperature) {
    return this.stepper.frequencies(temperature, this.continuations.allowed(this.place));
  }

  /** Write one token, drawn or as chosen: the characters that it completes, and the model's surprise at it in bits. */
  write(temperature, chosen = null) {
    const token = chosen ?? draw(this.odds(temperature), this.generator);
    const bits = -Math.log2(this.expected[token] / TOTAL);
    this.take(token);
    this.count += 1;
    return [this.decoder.push(token), bits];
  }
}

/** A token as something to read on one line; bytes that are no character as numbers. */
export function label(token) {
  const bytes = bytesOf(token);
  try {
    return quoted(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return Array.from(bytes, (byte) => byte.toString(16).toUpperCase().padStart(2, "0")).join(" ");
  }
}
