// What Python sees of the engine for cells with options: addresses in, nothing out. Python has checked types and
// strides.
#include "extended_module.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "addresses.h"
#include "extended.h"

namespace nb = nanobind;

namespace longhold {

// T, B, H, P, and the rates of zoneout of h and c.
struct ExtendedSizes {
  int64_t T, B, H, P;
  double rate_h, rate_c;
};

template <class Real> ExtendedCall<Real> extended_call(
    const ExtendedSizes& n, bool reverse, const std::vector<Address>& addresses) {
  Addresses a(addresses);
  return {
      .T = n.T,
      .B = n.B,
      .H = n.H,
      .P = n.P,
      .reverse = reverse,
      .rate_h = static_cast<Real>(n.rate_h),
      .rate_c = static_cast<Real>(n.rate_c),
      .gates = a.next(),
      .h = a.next(),
      .c = a.next(),
      .h_n = a.next(),
      .c_n = a.next(),
      .norm = a.next(),
      .scale = a.next(),
      .q = a.next(),
      .weight_hh = a.next(),
      .bias = a.next(),
      .weight_hr = a.next(),
      .peephole = a.next(),
      .gain_h = a.next(),
      .gain_c = a.next(),
      .shift_c = a.next(),
      .h0 = a.next(),
      .c0 = a.next(),
      .h_initial = a.next(),
      .c_initial = a.next(),
      .lengths = a.next(),
      .reset = a.next(),
      .mask = a.next(),
      .keep_h = a.next(),
      .keep_c = a.next(),
  };
}
template <class Real> ExtendedGradients<Real> extended_gradients(const std::vector<Address>& addresses) {
  Addresses a(addresses);
  return {
      .d_hs = a.next(),
      .d_cs = a.next(),
      .d_gates_out = a.next(),
      .d_h0 = a.next(),
      .d_c0 = a.next(),
      .d_h_initial = a.next(),
      .d_c_initial = a.next(),
      .d_gates = a.next(),
      .d_product = a.next(),
      .d_projected = a.next(),
      .operand2 = a.next(),
      .d_bias = a.next(),
      .d_gain_h = a.next(),
      .d_peephole = a.next(),
      .d_gain_c = a.next(),
      .d_shift_c = a.next(),
  };
}

// Rows are split where each thread fills its tiles; else units, if there are enough to be worth the waiting.
Plan extended_plan(const ExtendedSizes& n, int threads) {
  if (threads <= 1 || n.T * n.B * n.H * n.H < 200000) return {1, true};
  if (n.B >= 4 * threads) return {threads, true};
  if (n.H >= 8 * extended().lanes) return {threads, false};
  return {static_cast<int>(n.B >= threads && n.H >= 4 * extended().lanes ? threads : 1), true};
}

template <class Real> void extended_forward(int cell, int64_t T, int64_t B, int64_t H, int64_t P, bool reverse,
    double rate_h, double rate_c, const std::vector<Address>& addresses, int threads) {
  const ExtendedSizes sizes{T, B, H, P, rate_h, rate_c};
  const ExtendedCall<Real> call = extended_call<Real>(sizes, reverse, addresses);
  extended().forward[cell][sizeof(Real) == 8](&call, extended_plan(sizes, threads));
}
template <class Real> void extended_backward(int cell, int64_t T, int64_t B, int64_t H, int64_t P, bool reverse,
    double rate_h, double rate_c, const std::vector<Address>& addresses, const std::vector<Address>& gradients,
    int threads) {
  const ExtendedSizes sizes{T, B, H, P, rate_h, rate_c};
  const ExtendedCall<Real> call = extended_call<Real>(sizes, reverse, addresses);
  const ExtendedGradients<Real> g = extended_gradients<Real>(gradients);
  extended().backward[cell][sizeof(Real) == 8](&call, &g, extended_plan(sizes, threads));
}

void bind_extended(nb::module_& m) {
  m.def("extended_forward_float", &extended_forward<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("extended_forward_double", &extended_forward<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("extended_backward_float", &extended_backward<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("extended_backward_double", &extended_backward<double>, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace longhold
