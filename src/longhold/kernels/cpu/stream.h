// A stack of layers that is stepped with its state carried and its weights packed once, and text drawn from a model on
// it.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>

#include "isa.h"

namespace longhold {

enum StreamCell {
  stream_rnn_tanh,
  stream_rnn_relu,
  stream_gru,
  stream_gru_reset_before,
  stream_lstm,
  stream_lstm_coupled
};

enum Storage { storage_real, storage_bfloat16, storage_int8 };  // of a matrix; but the first they go with float

// A matrix by address, with int8 a scale per row. Null: there is none.
struct MatrixView {
  const void* values;
  const void* scale;
  Storage storage;
};

// One layer by addresses, which are read while a stepper is made and not after. Null: the option is off.
struct LayerView {
  int64_t I;
  MatrixView ih, hh, hr;  // (G*H, I), (G*H, P), (P, H)
  const void *bias_ih, *bias_hh, *peephole, *norm_ih, *norm_hh, *norm_c, *bias_norm_c;
  const void *h_initial, *c_initial;  // (P), (H)
};

struct StackView {
  StreamCell cell;
  int64_t B, H, P;
  double zoneout_h, zoneout_c;
  const LayerView* layers;
  int64_t count;
  const void* embedding;    // (V, I) where ids are embedded, or null
  int64_t V;                // ids that may come in
  MatrixView output;        // (outputs, P), for drawing
  const void* output_bias;  // (outputs)
  int64_t outputs;
};

// longhold.sampling's SamplingConfig.
struct Rules {
  double temperature;  // 0: greedy
  int64_t top_k;       // 0: off
  double top_p;        // 1: off
  double min_p;        // 0: off
};

class Stepper {
 public:
  virtual ~Stepper();
  // x (steps, B, I), or ids (steps, B) where x is null; out (steps, B, P).
  virtual void run(int64_t steps, const void* x, const int64_t* ids, void* out, int threads) = 0;
  // ids (count + 1, B): row 0 goes in, a row is written for each step taken. Returns the steps taken: fewer than count
  // where a row's logits have no finite maximum. uniforms (count, B).
  virtual int64_t draw(int64_t count, int64_t* ids, const double* uniforms, const Rules& rules, int threads) = 0;
  // What is drawn from now on: next (states, outputs), the state after each id, negative where the id may not come;
  // places (B), the state of each row. Both are copied.
  virtual void follow(int64_t states, const int8_t* next, const int8_t* places) = 0;
  // h (L, B, P), c (L, B, H) or null.
  virtual void read_state(void* h, void* c) const = 0;
  virtual void write_state(const void* h, const void* c) = 0;
  virtual void reset(int64_t row) = 0;
  virtual Stepper* copy() const = 0;     // another in the same state; the caller owns it
  virtual int64_t products() const = 0;  // multiplications in a step's matrix products

  const int64_t B, I, V, width;  // width: bytes of a number
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
 protected:
  Stepper(int64_t B, int64_t I, int64_t V, int64_t width) : B(B), I(I), V(V), width(width) {}
};

struct Steppers {
  Stepper* (*make[2])(const StackView& stack);  // float, double; the caller owns
};
LONGHOLD_TABLES(Steppers, steppers)

}  // namespace longhold
