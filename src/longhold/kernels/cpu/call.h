// One call of one layer and direction. Time-major, contiguous, addresses owned by the caller.
#pragma once
#include <cstdint>

namespace longhold {

template <class Real> struct Call {
  int64_t T, B, H;
  bool reverse;
  const Real* weight;      // (G*H, H)
  const Real* bias;        // (H): the bias inside a cell's recurrent product (GRU's n), or null
  Real* gates;             // (T, B, G*H): in, the input's share; out, the gates after their activations
  Real* extra;             // (T, B, H): what a cell keeps besides (GRU's q), or null
  const Real* h0;          // (B, H)
  const Real* c0;
  const Real* h_initial;   // (B, H), what a reset restores
  const Real* c_initial;
  const int64_t* lengths;  // (B), or null
  const uint8_t* reset;    // (T, B), or null
  const Real* mask;        // (B, H), recurrent dropout, or null
  Real* h;                 // (T, B, H)
  Real* c;                 // (T, B, H), or null
  Real* h_n;               // (B, H)
  Real* c_n;
};

template <class Real> struct Gradients {
  const Real* d_out;       // (T, B, H), or null
  const Real* d_cs;        // (T, B, H), gradient of every cell state, or null
  Real* d_h0;              // (B, H): in, the gradient of h_n; out, of h0
  Real* d_c0;
  Real* d_h_initial;       // (B, H): zero, or null without resets
  Real* d_c_initial;
  Real* d_gates;           // (T, B, G*H): of the input's share
  Real* d_extra;           // (T, B, H): of what a cell kept besides
};

struct Plan {
  int threads;
  bool by_rows;            // each thread takes rows and never waits; else units, with a barrier at every step
};

}  // namespace longhold
