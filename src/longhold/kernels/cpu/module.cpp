// The Python module: addresses in, nothing out. Python has checked types, devices and strides.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <omp.h>

#include <string>
#include <vector>

#include "backend.h"

namespace nb = nanobind;

namespace longhold {

using Address = uintptr_t;

template <class Real> Call<Real> make_call(int64_t T, int64_t B, int64_t H, bool reverse, const std::vector<Address>& a) {
  auto in = [&](int i) { return reinterpret_cast<const Real*>(a[i]); };
  auto out = [&](int i) { return reinterpret_cast<Real*>(a[i]); };
  return {T, B, H, reverse, in(0), in(1), out(2), out(3), in(4), in(5), in(6), in(7), reinterpret_cast<const int64_t*>(a[8]), reinterpret_cast<const uint8_t*>(a[9]), in(10), out(11), out(12), out(13), out(14)};
}
template <class Real> Gradients<Real> make_gradients(const std::vector<Address>& a) {
  auto in = [&](int i) { return reinterpret_cast<const Real*>(a[i]); };
  auto out = [&](int i) { return reinterpret_cast<Real*>(a[i]); };
  return {in(0), in(1), out(2), out(3), out(4), out(5), out(6), out(7)};
}

// Rows need no waiting, so they are split as long as each thread fills its tiles; else units are, if there are enough.
Plan plan_for(int64_t B, int64_t H, int lanes, int threads) {
  if (threads <= 1) return {1, true};
  if (B >= 4 * threads) return {threads, true};
  if (H >= 8 * lanes) return {threads, false};
  return {static_cast<int>(B >= threads && H >= 4 * lanes ? threads : 1), true};
}

template <class Real> void forward(int cell, int64_t T, int64_t B, int64_t H, bool reverse, const std::vector<Address>& addresses, int threads) {
  const Passes& passes = backend().cells[cell];
  const Call<Real> call = make_call<Real>(T, B, H, reverse, addresses);
  passes.forward[sizeof(Real) == 8](&call, plan_for(B, H, passes.lanes, threads));
}
template <class Real> void backward(int cell, int64_t T, int64_t B, int64_t H, bool reverse, const std::vector<Address>& addresses, const std::vector<Address>& gradients, int threads) {
  const Passes& passes = backend().cells[cell];
  const Call<Real> call = make_call<Real>(T, B, H, reverse, addresses);
  const Gradients<Real> grads = make_gradients<Real>(gradients);
  passes.backward[sizeof(Real) == 8](&call, &grads, plan_for(B, H, passes.lanes, threads));
}

void bind_stream(nb::module_& m);

}  // namespace longhold

NB_MODULE(_cpu, m) {
  using namespace longhold;
  m.def("forward_float", &forward<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("forward_double", &forward<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("backward_float", &backward<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("backward_double", &backward<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("instruction_sets", &isa_available, "instruction sets that this processor has, best first");
  m.def("instruction_set", &isa_name, "the one in use");
  m.def("use_instruction_set", &isa_use, "use another one, for tests");
  bind_stream(m);
}
