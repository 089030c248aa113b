// What the fused engine leaves out: layer norm, peepholes, projection, coupled gates, the original GRU, zoneout,
// gradients of gates. One call of one layer and direction. Time-major, contiguous, addresses owned by the caller.
#pragma once
#include "call.h"
#include "isa.h"

namespace longhold {

enum class Extended { rnn_tanh, rnn_relu, gru, gru_reset_before, lstm, lstm_coupled };
constexpr int extended_kinds = 6;

template <class Real> struct ExtendedCall {
  int64_t T, B, H, P;  // P is the width of h
  bool reverse;
  Real rate_h, rate_c;  // zoneout's expectation where there is no mask, or 0
  Real* gates;          // (T, B, G*H): in, the input projection and all biases; out, the gates after their activations
  Real* h;              // (T, B, P)
  Real* c;              // (T, B, H), or null
  Real* h_n;            // (B, P)
  Real* c_n;            // (B, H)
  Real* norm;           // (T, B, G*H): the recurrent product normalized, or null without a backward pass
  Real* scale;          // (T, B, groups): 1 / std of each group of it, or null
  Real* q;              // (T, B, H): GRU's q = W_hn h + b_hn, or null
  const Real* weight_hh;   // (G*H, P)
  const Real* bias;        // (H): GRU's b_hn, which stands inside the reset product and isn't in `gates`, or null
  const Real* weight_hr;   // (P, H), or null
  const Real* peephole;    // (3H) of i, f, o, coupled (2H) of i, o, or null
  const Real* gain_h;      // (G*H): layer norm of the recurrent product, or null
  const Real* gain_c;      // (H): layer norm of the cell state inside h = o * tanh(c), or null
  const Real* shift_c;     // (H), or null
  const Real* h0;          // (B, P)
  const Real* c0;          // (B, H)
  const Real* h_initial;   // (B, P): what a reset restores
  const Real* c_initial;   // (B, H)
  const int64_t* lengths;  // (B), 0 to T, or null
  const uint8_t* reset;    // (T, B), or null
  const Real* mask;        // (B, P): recurrent dropout, or null
  const uint8_t* keep_h;   // (T, B, P): zoneout, true keeps the old value, or null
  const uint8_t* keep_c;   // (T, B, H)
};

template <class Real> struct ExtendedGradients {
  const Real* d_hs;         // (T, B, P), or null
  const Real* d_cs;         // (T, B, H), or null
  const Real* d_gates_out;  // (T, B, G*H): of the gates after their activations, or null
  Real* d_h0;               // (B, P): in, the gradient of h_n; out, of h0
  Real* d_c0;               // (B, H)
  Real* d_h_initial;        // (B, P): zero, or null without resets
  Real* d_c_initial;
  Real* d_gates;      // (T, B, G*H): of the input projection
  Real* d_product;    // (T, B, G*H): of the recurrent product; `d_gates` itself where the two are the same
  Real* d_projected;  // (T, B, P): of the projection's result, or null
  Real* operand2;     // (T, B, H): operand of a second product, o * tanh(c) or r * h, or null
  Real* d_bias;       // (G*H): sums over all steps and rows, each null where it isn't needed
  Real* d_gain_h;     // (G*H)
  Real* d_peephole;
  Real* d_gain_c;   // (H)
  Real* d_shift_c;  // (H)
};

struct ExtendedTable {
  void (*forward[extended_kinds][2])(const void* call, const Plan& plan);
  void (*backward[extended_kinds][2])(const void* call, const void* gradients, const Plan& plan);
  int lanes;  // floats in a vector
};
LONGHOLD_TABLES(ExtendedTable, extended)

}  // namespace longhold
