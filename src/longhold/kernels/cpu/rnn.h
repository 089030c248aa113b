#pragma once
#include "engine.h"
namespace longhold {
inline namespace LONGHOLD_ISA {
// Equations in docs/math/rnn.md. The one "gate" is h itself.
template <bool relu> struct RnnCell {
  static constexpr int gates = 1, blocks = 4;
  static constexpr bool has_c = false, has_q = false, keeps_h = false;
  static constexpr bool starts_from_bias(int) { return false; }

  template <class Real> static Vector<Real> forward(const Vector<Real>* acc, const Row<Real>&, int64_t, int64_t, int) {
    if constexpr (relu) return acc[0] > 0 ? acc[0] : (acc[0] == acc[0] ? Vector<Real>{} : acc[0]);
    else return tanh(acc[0]);
  }
  template <class Real> static void backward(
      const Row<Real>& row, Vector<Real> d, Real*, Real*, Real* d_gates, Real*, int64_t, int64_t unit, int n) {
    const Vector<Real> h = load(row.h + unit, n);
    if constexpr (relu) store(d_gates + unit, h <= 0 ? Vector<Real>{} : d, n);
    else store(d_gates + unit, d * (1 - h * h), n);
  }
};
}  // namespace LONGHOLD_ISA
}  // namespace longhold
