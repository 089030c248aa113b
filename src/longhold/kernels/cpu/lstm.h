#pragma once
#include "engine.h"
namespace longhold {
inline namespace LONGHOLD_ISA {
// Gates i, f, g, o; equations in docs/math/lstm.md.
struct LstmCell {
  static constexpr int gates = 4, blocks = 1;
  static constexpr bool has_c = true, has_q = false, keeps_h = false;
  static constexpr bool starts_from_bias(int) { return false; }

  template <class Real> static Vector<Real> forward(
      const Vector<Real>* acc, const Row<Real>& row, int64_t H, int64_t unit, int n) {
    const Vector<Real> i = sigmoid(acc[0]), f = sigmoid(acc[1]), g = tanh(acc[2]), o = sigmoid(acc[3]);
    const Vector<Real> c = f * load(row.c_old + unit, n) + i * g;
    row.leave(unit, i, n);
    row.leave(H + unit, f, n);
    row.leave(2 * H + unit, g, n);
    row.leave(3 * H + unit, o, n);
    store(row.c + unit, c, n);
    return output<Real>(o, c);
  }
  template <class Real> static Vector<Real> output(Vector<Real> o, Vector<Real> c) { return o * tanh(c); }
  template <class Real> static void backward(
      const Row<Real>& row, Vector<Real> d, Real*, Real* d_c, Real* d_gates, Real*, int64_t H, int64_t unit, int n) {
    const Vector<Real> i = load(row.gates + unit, n), f = load(row.gates + H + unit, n),
                       g = load(row.gates + 2 * H + unit, n), o = load(row.gates + 3 * H + unit, n);
    const Vector<Real> tanh_c = tanh(load(row.c + unit, n));
    const Vector<Real> dc = load(d_c + unit, n) + d * o * (1 - tanh_c * tanh_c);
    store(d_gates + unit, dc * g * i * (1 - i), n);
    store(d_gates + H + unit, dc * load(row.c_old + unit, n) * f * (1 - f), n);
    store(d_gates + 2 * H + unit, dc * i * (1 - g * g), n);
    store(d_gates + 3 * H + unit, d * tanh_c * o * (1 - o), n);
    store(d_c + unit, dc * f, n);
  }
};
}  // namespace LONGHOLD_ISA
}  // namespace longhold
