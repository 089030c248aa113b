// One call of one layer and direction. Time-major, contiguous, addresses owned by the caller.
#pragma once
#include <cstdint>

namespace longhold {

template <class Real> struct Call {
  int64_t T, B, I, H;
  int64_t segment;              // steps of the backward pass whose gradients of gates are held at once
  int64_t checkpoint_interval;  // steps between two states kept for backward; 0: nothing is kept; 1: all is kept
  bool reverse;
  const Real* x;          // (T, B, I), or null
  const int64_t* ids;     // (T, B), instead of x: one-hot vectors
  const Real* weight_ih;  // (G*H, I)
  const Real* weight_hh;  // (G*H, H)
  const Real* bias_ih;    // (G*H), or null
  const Real* bias_hh;
  const Real* h0;  // (B, H), or null for zeros
  const Real* c0;
  const Real* h_initial;  // (B, H), what a reset restores; null for zeros
  const Real* c_initial;
  const int64_t* lengths;  // (B), 0 to T, or null
  const uint8_t* reset;    // (T, B), or null
  const Real* mask;        // (B, H), recurrent dropout, or null
  Real* gates;             // (T, B, G*H): the gates after their activations, or null
  Real* q;                 // (T, B, H): GRU's q = W_hn h + b_hn, kept for backward, or null
  Real* h;                 // (T, B, H); null in an LSTM's backward pass where gates and c are all kept
  Real* c;                 // (T, B, H); with an interval n > 1 (T / n, B, H), the state before every n-th step; or null
  Real* h_n;               // (B, H)
  Real* c_n;
  Real* h_out = nullptr;  // (T, B, H): h once more, to be handed out while `h` is kept, or null
};

template <class Real> struct Gradients {
  const Real* d_out;  // (T, B, H), or null
  const Real* d_cs;   // (T, B, H), gradient of every cell state, or null
  const Real* d_h_n;  // (B, H), or null
  const Real* d_c_n;
  Real* d_x;          // (T, B, I), or null
  Real* d_weight_ih;  // (G*H, I)
  Real* d_weight_hh;  // (G*H, H)
  Real* d_bias_ih;    // (G*H), or null
  Real* d_bias_hh;
  Real* d_h0;  // (B, H)
  Real* d_c0;
  Real* d_h_initial;  // (B, H), or null without resets
  Real* d_c_initial;
};

struct Plan {
  int threads;
  bool by_rows;  // each thread takes rows and never waits; else units, with a barrier at every step
};

}  // namespace longhold
