// Runs the engine on fixed numbers and prints all outputs and gradients: the same program for another processor must
// print the same.
#define LONGHOLD_BYTES 16
#define LONGHOLD_ISA plain
#include <omp.h>

#include <cstdio>

#include "gru.h"
#include "lstm.h"
#include "rnn.h"

using namespace longhold;

namespace {

unsigned drawn = 1;
double draw() {  // a linear congruential generator: the same everywhere
  drawn = drawn * 1664525u + 1013904223u;
  return static_cast<double>(drawn >> 8) / (1 << 24) - 0.5;
}

template <class Real> struct Numbers {
  std::vector<Real> values;
  explicit Numbers(int64_t count, bool random = true) : values(count) {
    if (random)
      for (Real& value : values) value = static_cast<Real>(draw());
  }
  Real* data() { return values.data(); }
  void print(const char* name) const {
    for (Real value : values) std::printf("%s %.17g\n", name, static_cast<double>(value));
  }
};

template <class Cell, class Real> void walk(int64_t T, int64_t B, int64_t I, int64_t H, bool reverse, int threads) {
  constexpr int G = Cell::gates;
  Numbers<Real> x(T * B * I), w_ih(G * H * I), w_hh(G * H * H), b_ih(G * H), b_hh(G * H), h0(B * H), c0(B * H),
      h_initial(B * H), c_initial(B * H), mask(B * H);
  Numbers<Real> d_out(T * B * H), d_h_n(B * H), d_c_n(B * H);
  std::vector<int64_t> lengths(B);
  std::vector<uint8_t> reset(T * B);
  for (int64_t b = 0; b < B; ++b) lengths[b] = T - b % T;
  for (int64_t i = 0; i < T * B; ++i) reset[i] = draw() > 0.3 && i / B < lengths[i % B];
  Numbers<Real> gates(T * B * G * H, false), q(T * B * H, false), h(T * B * H, false), c(T * B * H, false),
      h_n(B * H, false), c_n(B * H, false);
  const int64_t segment = 3;
  const bool has_c = Cell::has_c;
  const Call<Real> call{
      .T = T,
      .B = B,
      .I = I,
      .H = H,
      .segment = segment,
      .checkpoint_interval = 1,
      .reverse = reverse,
      .x = x.data(),
      .ids = nullptr,
      .weight_ih = w_ih.data(),
      .weight_hh = w_hh.data(),
      .bias_ih = b_ih.data(),
      .bias_hh = b_hh.data(),
      .h0 = h0.data(),
      .c0 = has_c ? c0.data() : nullptr,
      .h_initial = h_initial.data(),
      .c_initial = has_c ? c_initial.data() : nullptr,
      .lengths = lengths.data(),
      .reset = reset.data(),
      .mask = mask.data(),
      .gates = gates.data(),
      .q = Cell::has_q ? q.data() : nullptr,
      .h = h.data(),
      .c = has_c ? c.data() : nullptr,
      .h_n = h_n.data(),
      .c_n = c_n.data(),
  };
  Numbers<Real> d_x(T * B * I, false), d_w_ih(G * H * I, false), d_w_hh(G * H * H, false), d_b_ih(G * H, false),
      d_b_hh(G * H, false), d_h0(B * H, false), d_c0(B * H, false), d_h_initial(B * H, false),
      d_c_initial(B * H, false);
  const Gradients<Real> gradients{
      .d_out = d_out.data(),
      .d_cs = nullptr,
      .d_h_n = d_h_n.data(),
      .d_c_n = has_c ? d_c_n.data() : nullptr,
      .d_x = d_x.data(),
      .d_weight_ih = d_w_ih.data(),
      .d_weight_hh = d_w_hh.data(),
      .d_bias_ih = d_b_ih.data(),
      .d_bias_hh = d_b_hh.data(),
      .d_h0 = d_h0.data(),
      .d_c0 = has_c ? d_c0.data() : nullptr,
      .d_h_initial = d_h_initial.data(),
      .d_c_initial = has_c ? d_c_initial.data() : nullptr,
  };
  const Engine<Cell, Real> engine(call);
  const Plan plan{threads, B >= 4 * threads};
  engine.forward(plan);
  engine.backward(plan, gradients);
  for (auto [name, numbers] :
      {std::pair{"h", &h}, {"h_n", &h_n}, {"c_n", &c_n}, {"d_x", &d_x}, {"d_w_ih", &d_w_ih}, {"d_w_hh", &d_w_hh},
          {"d_b_ih", &d_b_ih}, {"d_b_hh", &d_b_hh}, {"d_h0", &d_h0}, {"d_h_initial", &d_h_initial}})
    numbers->print(name);
}

template <class Real> void all() {
  for (int threads : {1, 2})
    for (bool reverse : {false, true}) {
      walk<RnnCell<false>, Real>(7, 3, 5, 18, reverse, threads);
      walk<RnnCell<true>, Real>(4, 9, 3, 7, reverse, threads);
      walk<GruCell, Real>(7, 9, 5, 18, reverse, threads);
      walk<LstmCell, Real>(7, 3, 33, 21, reverse, threads);
    }
}

}  // namespace

int main() {
  all<float>();
  all<double>();
}
