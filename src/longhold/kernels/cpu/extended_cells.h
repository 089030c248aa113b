// The pointwise parts of all cells with all options, for one row of one step; equations in docs/math/.
#pragma once
#include "extended.h"
#include "rowwise.h"

namespace longhold {
inline namespace LONGHOLD_ISA {
namespace options {

// What a row's forward step reads and writes.
template <class Real> struct Step {
  const Real* h_old;    // (P)
  const Real* operand;  // (P): h_old as the recurrent product sees it
  const Real* c_old;    // (H)
  const Real* product;  // (G*H): the recurrent product, normalized and scaled
  Real* gates;          // (G*H)
  Real* q;              // (H), or null
  Real* h_new;          // (H): h before projection and zoneout
  Real* cell;           // (H): c before zoneout
  Real* operand2;       // (H): the operand of a second product, or null
};

// What its backward step reads besides (`product` and `h_new` are unset; `cell` is scratch for H numbers).
template <class Real> struct BackStep {
  const Real* d_gates_out;  // (G*H): of the gates, or null
  Real* d_h;                // (P): in, of h before zoneout; out, what reaches h_old straight
  Real* d_u;                // (H): of the second product's operand; d_h where there is no second product
  Real* d_c;                // (H): in, of c before zoneout; out, of c_old
  Real* d_gates;            // (G*H): of the input projection
  Real* d_product;          // (G*H): of the recurrent product, where it differs
  Real* scratch;            // (H)

  Vector<Real> d_gate(int64_t at, int n) const { return d_gates_out ? load(d_gates_out + at, n) : Vector<Real>{}; }
};

// The one "gate" is h before zoneout.
template <bool relu> struct ExtendedRnn {
  static constexpr int gates = 1, groups = 1, group_ends[] = {0, 1};
  static constexpr bool has_c = false, splits_candidate = false, reset_before = false;

  template <class Real> static void forward(const ExtendedCall<Real>& p, const Step<Real>& s) {
    for_each_vector<Real>(p.H, [&](int64_t at, auto n) {
      const Vector<Real> a = load(s.gates + at, n) + load(s.product + at, n);
      Vector<Real> h;
      if constexpr (relu) h = a > 0 ? a : (a == a ? Vector<Real>{} : a);
      else h = tanh(a);
      store(s.gates + at, h, n);
      store(s.h_new + at, h, n);
    });
  }
  template <class Real> static void backward(
      const ExtendedCall<Real>& p, const Step<Real>& s, const BackStep<Real>& d, Sums<Real>&) {
    for_each_vector<Real>(p.H, [&](int64_t at, auto n) {
      const Vector<Real> h = load(s.gates + at, n), v = load(d.d_h + at, n);
      if constexpr (relu) store(d.d_gates + at, h <= 0 ? Vector<Real>{} : v, n);
      else store(d.d_gates + at, v * (1 - h * h), n);
      store(d.d_h + at, Vector<Real>{}, n);
    });
  }
};

// Gates r, z, n, reset gate after the product.
struct ExtendedGru {
  static constexpr int gates = 3, groups = 2, group_ends[] = {0, 2, 3};
  static constexpr bool has_c = false, splits_candidate = true, reset_before = false;

  template <class Real> static void forward(const ExtendedCall<Real>& p, const Step<Real>& s) {
    const int64_t H = p.H;
    for_each_vector<Real>(H, [&](int64_t at, auto k) {
      const Vector<Real> r = sigmoid(load(s.gates + at, k) + load(s.product + at, k));
      const Vector<Real> z = sigmoid(load(s.gates + H + at, k) + load(s.product + H + at, k));
      Vector<Real> q = load(s.product + 2 * H + at, k);
      if (p.bias) q += load(p.bias + at, k);
      const Vector<Real> n = tanh(load(s.gates + 2 * H + at, k) + r * q);
      store(s.gates + at, r, k);
      store(s.gates + H + at, z, k);
      store(s.gates + 2 * H + at, n, k);
      if (s.q) store(s.q + at, q, k);
      store(s.h_new + at, n + z * (load(s.h_old + at, k) - n), k);
    });
  }
  template <class Real> static void backward(
      const ExtendedCall<Real>& p, const Step<Real>& s, const BackStep<Real>& d, Sums<Real>&) {
    const int64_t H = p.H;
    for_each_vector<Real>(H, [&](int64_t at, auto k) {
      const Vector<Real> r = load(s.gates + at, k), z = load(s.gates + H + at, k), n = load(s.gates + 2 * H + at, k);
      const Vector<Real> v = load(d.d_h + at, k);
      const Vector<Real> d_an = (v * (1 - z) + d.d_gate(2 * H + at, k)) * (1 - n * n);
      const Vector<Real> d_ar = (d_an * load(s.q + at, k) + d.d_gate(at, k)) * r * (1 - r);
      const Vector<Real> d_az = (v * (load(s.h_old + at, k) - n) + d.d_gate(H + at, k)) * z * (1 - z);
      store(d.d_gates + at, d_ar, k);
      store(d.d_gates + H + at, d_az, k);
      store(d.d_gates + 2 * H + at, d_an, k);
      store(d.d_product + at, d_ar, k);
      store(d.d_product + H + at, d_az, k);
      store(d.d_product + 2 * H + at, d_an * r, k);
      store(d.d_h + at, v * z, k);
    });
  }
};

// Gates r, z, n, reset gate before the product: a second product of r * h stands inside the step.
struct ExtendedGruResetBefore {
  static constexpr int gates = 3, groups = 2, group_ends[] = {0, 2, 3};
  static constexpr bool has_c = false, splits_candidate = false, reset_before = true;

  template <class Real> static void forward(const ExtendedCall<Real>& p, const Step<Real>& s) {
    const int64_t H = p.H;
    for_each_vector<Real>(2 * H,
        [&](int64_t at, auto k) { store(s.gates + at, sigmoid(load(s.gates + at, k) + load(s.product + at, k)), k); });
    for_each_vector<Real>(
        H, [&](int64_t at, auto k) { store(s.operand2 + at, load(s.gates + at, k) * load(s.operand + at, k), k); });
  }
  template <class Real> static void forward_candidate(const ExtendedCall<Real>& p, const Step<Real>& s) {
    const int64_t H = p.H;
    for_each_vector<Real>(H, [&](int64_t at, auto k) {
      const Vector<Real> n = tanh(load(s.gates + 2 * H + at, k) + load(s.product + 2 * H + at, k));
      store(s.gates + 2 * H + at, n, k);
      store(s.h_new + at, n + load(s.gates + H + at, k) * (load(s.h_old + at, k) - n), k);
    });
  }
  template <class Real> static void backward_candidate(
      const ExtendedCall<Real>& p, const Step<Real>& s, const BackStep<Real>& d) {
    const int64_t H = p.H;
    for_each_vector<Real>(H, [&](int64_t at, auto k) {
      const Vector<Real> z = load(s.gates + H + at, k), n = load(s.gates + 2 * H + at, k), v = load(d.d_h + at, k);
      store(d.d_gates + H + at, (v * (load(s.h_old + at, k) - n) + d.d_gate(H + at, k)) * z * (1 - z), k);
      store(d.d_gates + 2 * H + at, (v * (1 - z) + d.d_gate(2 * H + at, k)) * (1 - n * n), k);
      store(d.d_h + at, v * z, k);
    });
  }
  // In `d_u` it leaves what reaches h through r * h.
  template <class Real> static void backward(
      const ExtendedCall<Real>& p, const Step<Real>& s, const BackStep<Real>& d, Sums<Real>&) {
    for_each_vector<Real>(p.H, [&](int64_t at, auto k) {
      const Vector<Real> r = load(s.gates + at, k), h = load(s.operand + at, k), d_v = load(d.d_u + at, k);
      store(d.d_gates + at, (d_v * h + d.d_gate(at, k)) * r * (1 - r), k);
      store(d.d_u + at, d_v * r, k);
      store(s.operand2 + at, r * h, k);
    });
  }
};

// Gates i, f, g, o; coupled i, g, o with f = 1 - i.
template <bool coupled> struct ExtendedLstm {
  static constexpr int gates = coupled ? 3 : 4, groups = 1, group_ends[] = {0, gates};
  static constexpr bool has_c = true, splits_candidate = false, reset_before = false;
  static constexpr int I = 0, F = 1, C = gates - 2, O = gates - 1;  // blocks of the gates
  static constexpr int peep_o = gates - 2;                          // and of the last peephole

  template <class Real> static void forward(const ExtendedCall<Real>& p, const Step<Real>& s) {
    const int64_t H = p.H;
    for_each_vector<Real>(H, [&](int64_t at, auto n) {
      auto a = [&](int gate) { return load(s.gates + gate * H + at, n) + load(s.product + gate * H + at, n); };
      auto peep = [&](int which) { return load(p.peephole + which * H + at, n); };
      const Vector<Real> c_old = load(s.c_old + at, n);
      const Vector<Real> i = sigmoid(p.peephole ? a(I) + peep(0) * c_old : a(I));
      Vector<Real> f;
      if constexpr (coupled) f = 1 - i;
      else f = sigmoid(p.peephole ? a(F) + peep(1) * c_old : a(F));
      const Vector<Real> g = tanh(a(C)), c = f * c_old + i * g;
      const Vector<Real> o = sigmoid(p.peephole ? a(O) + peep(peep_o) * c : a(O));
      store(s.gates + I * H + at, i, n);
      if constexpr (!coupled) store(s.gates + F * H + at, f, n);
      store(s.gates + C * H + at, g, n);
      store(s.gates + O * H + at, o, n);
      store(s.cell + at, c, n);
      if (!p.gain_c) store(s.h_new + at, o * tanh(c), n);
    });
    if (!p.gain_c) return;
    const Moments<Real> m = moments(s.cell, H);
    for_each_vector<Real>(H, [&](int64_t at, auto n) {
      Vector<Real> y = (load(s.cell + at, n) - m.mean) * m.scale * load(p.gain_c + at, n);
      if (p.shift_c) y += load(p.shift_c + at, n);
      store(s.h_new + at, load(s.gates + O * H + at, n) * tanh(y), n);
    });
  }

  template <class Real> static void backward(
      const ExtendedCall<Real>& p, const Step<Real>& s, const BackStep<Real>& d, Sums<Real>& sums) {
    const int64_t H = p.H;
    auto gate = [&](int which, int64_t at, int n) { return load(s.gates + which * H + at, n); };
    auto forget = [&](int64_t at, int n) {
      if constexpr (coupled) return 1 - gate(I, at, n);
      else return gate(F, at, n);
    };
    for_each_vector<Real>(H, [&](int64_t at, auto n) {
      store(s.cell + at, forget(at, n) * load(s.c_old + at, n) + gate(I, at, n) * gate(C, at, n), n);
    });
    if (p.gain_c) norm_c_backward(p, s, d, sums);
    else
      for_each_vector<Real>(
          H, [&](int64_t at, auto n) { add(d.d_c, out_backward(s, d, H, at, n, load(s.cell + at, n)), at, n); });
    for_each_vector<Real>(H, [&](int64_t at, auto n) {
      const Vector<Real> i = gate(I, at, n), g = gate(C, at, n), f = forget(at, n), c_old = load(s.c_old + at, n),
                         d_ao = load(d.d_gates + O * H + at, n);
      auto peep = [&](int which) { return load(p.peephole + which * H + at, n); };
      Vector<Real> d_c = load(d.d_c + at, n);
      if (p.peephole) d_c += peep(peep_o) * d_ao;
      const Vector<Real> d_ai = (d_c * (coupled ? g - c_old : g) + d.d_gate(I * H + at, n)) * i * (1 - i);
      store(d.d_gates + I * H + at, d_ai, n);
      store(d.d_gates + C * H + at, (d_c * i + d.d_gate(C * H + at, n)) * (1 - g * g), n);
      Vector<Real> d_c_old = d_c * f;
      if (p.peephole) d_c_old += peep(0) * d_ai;
      if constexpr (!coupled) {
        const Vector<Real> d_af = (d_c * c_old + d.d_gate(F * H + at, n)) * f * (1 - f);
        store(d.d_gates + F * H + at, d_af, n);
        if (p.peephole) d_c_old += peep(1) * d_af;
        if (sums.peephole) add<Real>(sums.peephole + H, d_af * c_old, at, n);
      }
      if (sums.peephole) {
        add<Real>(sums.peephole, d_ai * c_old, at, n);
        add<Real>(sums.peephole + peep_o * H, d_ao * load(s.cell + at, n), at, n);
      }
      store(d.d_c + at, d_c_old, n);
    });
    fill<Real>(d.d_h, p.P, 0);
  }

 private:
  // From the gradient of u = o * tanh(y): leaves o's, and u where a projection saw it, and returns that of y.
  template <class Real> static Vector<Real> out_backward(
      const Step<Real>& s, const BackStep<Real>& d, int64_t H, int64_t at, int n, Vector<Real> y) {
    const Vector<Real> o = load(s.gates + O * H + at, n), tanh_c = tanh(y), d_u = load(d.d_u + at, n);
    store(d.d_gates + O * H + at, (d_u * tanh_c + d.d_gate(O * H + at, n)) * o * (1 - o), n);
    if (s.operand2) store(s.operand2 + at, o * tanh_c, n);
    return d_u * o * (1 - tanh_c * tanh_c);
  }
  // The same through the layer norm of c inside h = o * tanh(c).
  template <class Real> static void norm_c_backward(
      const ExtendedCall<Real>& p, const Step<Real>& s, const BackStep<Real>& d, Sums<Real>& sums) {
    const int64_t H = p.H;
    const Moments<Real> m = moments(s.cell, H);
    Vector<Real> sum{}, dot{};
    for_each_vector<Real>(H, [&](int64_t at, auto n) {
      const Vector<Real> normed = (load(s.cell + at, n) - m.mean) * m.scale, gain = load(p.gain_c + at, n);
      Vector<Real> y = normed * gain;
      if (p.shift_c) y += load(p.shift_c + at, n);
      const Vector<Real> d_y = mask_tail<Real>(out_backward(s, d, H, at, n, y), n);
      if (sums.gain_c) add<Real>(sums.gain_c, d_y * normed, at, n);
      if (sums.shift_c) add<Real>(sums.shift_c, d_y, at, n);
      store(d.scratch + at, d_y * gain, n);
      sum += d_y * gain;
      dot += d_y * gain * normed;
    });
    const Real mean = total<Real>(sum) / H, slope = total<Real>(dot) / H;
    for_each_vector<Real>(H, [&](int64_t at, auto n) {
      const Vector<Real> normed = (load(s.cell + at, n) - m.mean) * m.scale;
      add(d.d_c, (load(d.scratch + at, n) - mean - normed * slope) * m.scale, at, n);
    });
  }
};

}  // namespace options
}  // namespace LONGHOLD_ISA
}  // namespace longhold
