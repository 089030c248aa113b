#pragma once
#include "engine.h"
namespace longhold {
inline namespace LONGHOLD_ISA {
// Gates r, z, n, reset gate after the product; q = W_hn h + b_hn. Equations in docs/math/gru.md.
struct GruCell {
  static constexpr int gates = 3, blocks = 1;
  static constexpr bool has_c = false, has_q = true, keeps_h = true;
  static constexpr bool starts_from_bias(int gate) { return gate == 2; }

  template <class Real> static Vector<Real> forward(
      const Vector<Real>* acc, const Row<Real>& row, int64_t H, int64_t unit, int count) {
    const Vector<Real> r = sigmoid(acc[0]), z = sigmoid(acc[1]), q = acc[2];
    const Vector<Real> n = tanh(load(row.gates + 2 * H + unit, count) + r * q);
    row.leave(unit, r, count);
    row.leave(H + unit, z, count);
    row.leave(2 * H + unit, n, count);
    if (row.keep) store(row.q + unit, q, count);
    return n + z * (load(row.h_old + unit, count) - n);
  }
  template <class Real> static void backward(const Row<Real>& row, Vector<Real> d, Real* d_h, Real*, Real* d_gates,
      Real* d_q, int64_t H, int64_t unit, int count) {
    const Vector<Real> r = load(row.gates + unit, count), z = load(row.gates + H + unit, count),
                       n = load(row.gates + 2 * H + unit, count), q = load(row.q + unit, count);
    const Vector<Real> d_an = d * (1 - z) * (1 - n * n);
    store(d_gates + unit, d_an * q * r * (1 - r), count);
    store(d_gates + H + unit, d * (load(row.h_old + unit, count) - n) * z * (1 - z), count);
    store(d_gates + 2 * H + unit, d_an, count);
    store(d_q + unit, d_an * r, count);
    store(d_h + unit, d * z, count);
  }
};
}  // namespace LONGHOLD_ISA
}  // namespace longhold
