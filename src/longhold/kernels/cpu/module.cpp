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

// T, B, I, H, segment, every
using Sizes = std::vector<int64_t>;

// Addresses in the order of Call's and Gradients' members.
template <class Real> Call<Real> make_call(const Sizes& n, bool reverse, const std::vector<Address>& a) {
  auto in = [&](int i) { return reinterpret_cast<const Real*>(a.at(i)); };
  auto out = [&](int i) { return reinterpret_cast<Real*>(a.at(i)); };
  auto whole = [&](int i) { return reinterpret_cast<const int64_t*>(a.at(i)); };
  return {n.at(0), n.at(1), n.at(2), n.at(3), n.at(4), n.at(5), reverse, in(0), whole(1), in(2), in(3), in(4), in(5), in(6), in(7), in(8), in(9), whole(10), reinterpret_cast<const uint8_t*>(a.at(11)), in(12), out(13), out(14), out(15), out(16), out(17), out(18)};
}
template <class Real> Gradients<Real> make_gradients(const std::vector<Address>& a) {
  auto in = [&](int i) { return reinterpret_cast<const Real*>(a.at(i)); };
  auto out = [&](int i) { return reinterpret_cast<Real*>(a.at(i)); };
  return {in(0), in(1), in(2), in(3), out(4), out(5), out(6), out(7), out(8), out(9), out(10), out(11), out(12)};
}

// Rows need no waiting, so they are split as long as each thread fills its tiles; else units are, if there are enough.
Plan plan_for(int64_t T, int64_t B, int64_t H, int lanes, int threads) {
  if (threads <= 1 || T * B * H * H < 200000) return {1, true};
  if (B >= 4 * threads) return {threads, true};
  if (H >= 8 * lanes) return {threads, false};
  return {static_cast<int>(B >= threads && H >= 4 * lanes ? threads : 1), true};
}

template <class Real> void forward(int cell, const Sizes& sizes, bool reverse, const std::vector<Address>& addresses, int threads) {
  const Passes& passes = backend().cells[cell];
  const Call<Real> call = make_call<Real>(sizes, reverse, addresses);
  passes.forward[sizeof(Real) == 8](&call, plan_for(call.T, call.B, call.H, passes.lanes, threads));
}
template <class Real> void backward(int cell, const Sizes& sizes, bool reverse, const std::vector<Address>& addresses, const std::vector<Address>& gradients, int threads) {
  const Passes& passes = backend().cells[cell];
  const Call<Real> call = make_call<Real>(sizes, reverse, addresses);
  const Gradients<Real> grads = make_gradients<Real>(gradients);
  passes.backward[sizeof(Real) == 8](&call, &grads, plan_for(call.T, call.B, call.H, passes.lanes, threads));
}

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
}
