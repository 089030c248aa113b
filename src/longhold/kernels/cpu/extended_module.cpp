// What Python sees of the engine for cells with options: addresses in, nothing out. Python has checked types and
// strides.
#include "extended_module.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "extended.h"

namespace nb = nanobind;

namespace longhold {

// T, B, H, P, and the rates of zoneout of h and c.
struct ExtendedSizes {
  int64_t T, B, H, P;
  double rate_h, rate_c;
};

// Addresses in the order of the members that they become.
class Addresses {
  const std::vector<uintptr_t>& all;
  size_t next = 0;

 public:
  explicit Addresses(const std::vector<uintptr_t>& addresses) : all(addresses) {}
  template <class T> void give(T*& to) { to = reinterpret_cast<T*>(all.at(next++)); }
  template <class... T> void all_of(T*&... to) { (give(to), ...); }
};

template <class Real> ExtendedCall<Real> extended_call(
    const ExtendedSizes& n, bool reverse, const std::vector<uintptr_t>& addresses) {
  ExtendedCall<Real> c{};
  c.T = n.T, c.B = n.B, c.H = n.H, c.P = n.P, c.reverse = reverse;
  c.rate_h = static_cast<Real>(n.rate_h), c.rate_c = static_cast<Real>(n.rate_c);
  Addresses(addresses).all_of(c.gates, c.h, c.c, c.h_n, c.c_n, c.norm, c.scale, c.extra, c.weight_hh, c.bias,
      c.weight_hr, c.peephole, c.gain_h, c.gain_c, c.shift_c, c.h0, c.c0, c.h_initial, c.c_initial, c.lengths, c.reset,
      c.mask, c.keep_h, c.keep_c);
  return c;
}

// Rows are split where each thread fills its tiles; else units, if there are enough to be worth the waiting.
Plan extended_plan(const ExtendedSizes& n, int threads) {
  if (threads <= 1 || n.T * n.B * n.H * n.H < 200000) return {1, true};
  if (n.B >= 4 * threads) return {threads, true};
  if (n.H >= 8 * extended().lanes) return {threads, false};
  return {static_cast<int>(n.B >= threads && n.H >= 4 * extended().lanes ? threads : 1), true};
}

template <class Real> void extended_forward(int cell, int64_t T, int64_t B, int64_t H, int64_t P, bool reverse,
    double rate_h, double rate_c, const std::vector<uintptr_t>& addresses, int threads) {
  const ExtendedSizes sizes{T, B, H, P, rate_h, rate_c};
  const ExtendedCall<Real> call = extended_call<Real>(sizes, reverse, addresses);
  extended().forward[cell][sizeof(Real) == 8](&call, extended_plan(sizes, threads));
}
template <class Real> void extended_backward(int cell, int64_t T, int64_t B, int64_t H, int64_t P, bool reverse,
    double rate_h, double rate_c, const std::vector<uintptr_t>& addresses, const std::vector<uintptr_t>& gradients,
    int threads) {
  const ExtendedSizes sizes{T, B, H, P, rate_h, rate_c};
  const ExtendedCall<Real> call = extended_call<Real>(sizes, reverse, addresses);
  ExtendedGradients<Real> g{};
  Addresses(gradients).all_of(g.d_hs, g.d_cs, g.d_told, g.d_h0, g.d_c0, g.d_h_initial, g.d_c_initial, g.d_gates,
      g.d_product, g.d_projected, g.second, g.d_bias, g.d_gain_h, g.d_peephole, g.d_gain_c, g.d_shift_c);
  extended().backward[cell][sizeof(Real) == 8](&call, &g, extended_plan(sizes, threads));
}

void bind_extended(nb::module_& m) {
  m.def("extended_forward_float", &extended_forward<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("extended_forward_double", &extended_forward<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("extended_backward_float", &extended_backward<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("extended_backward_double", &extended_backward<double>, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace longhold
