// The Python module: addresses in, nothing out. Python has checked types, devices and strides.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <omp.h>

#include <algorithm>
#include <string>
#include <vector>

#include "backend.h"
#include "extended_module.h"
#include "loss.h"
#include "optimizer.h"
#include "team.h"

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
  return {n.at(0), n.at(1), n.at(2), n.at(3), n.at(4), n.at(5), reverse, in(0), whole(1), in(2), in(3), in(4), in(5),
      in(6), in(7), in(8), in(9), whole(10), reinterpret_cast<const uint8_t*>(a.at(11)), in(12), out(13), out(14),
      out(15), out(16), out(17), out(18), out(19)};
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
  if (H >= 8 * lanes) return company.keeps_up() ? Plan{threads, false} : Plan{1, true};  // which changes no bit
  return {static_cast<int>(B >= threads && H >= 4 * lanes ? threads : 1), true};
}

template <class Real> void forward(
    int cell, const Sizes& sizes, bool reverse, const std::vector<Address>& addresses, int threads) {
  const Passes& passes = backend().cells[cell];
  const Call<Real> call = make_call<Real>(sizes, reverse, addresses);
  passes.forward[sizeof(Real) == 8](&call, plan_for(call.T, call.B, call.H, passes.lanes, threads));
}
template <class Real> void backward(int cell, const Sizes& sizes, bool reverse, const std::vector<Address>& addresses,
    const std::vector<Address>& gradients, int threads) {
  const Passes& passes = backend().cells[cell];
  const Call<Real> call = make_call<Real>(sizes, reverse, addresses);
  const Gradients<Real> grads = make_gradients<Real>(gradients);
  passes.backward[sizeof(Real) == 8](&call, &grads, plan_for(call.T, call.B, call.H, passes.lanes, threads));
}

template <class Real> void loss_block(int64_t rows, int64_t size, Address targets, int64_t ignored, Address logits,
    Address nats, double scale, int threads) {
  const LogitBlock<Real> block{rows, size, reinterpret_cast<const int64_t*>(targets), ignored,
      reinterpret_cast<Real*>(logits), reinterpret_cast<double*>(nats), static_cast<Real>(scale)};
  if constexpr (sizeof(Real) == 4) loss().block_float(block, threads);
  else loss().block_double(block, threads);
}

// For each leaf its count, four addresses (value, gradient, first, second) and, but for the norm, its rates.
template <class Real> std::vector<Leaf<Real>> make_leaves(
    const std::vector<int64_t>& counts, const std::vector<Address>& a, const std::vector<double>& rates) {
  std::vector<Leaf<Real>> leaves;
  const size_t width = rates.size() / std::max<size_t>(counts.size(), 1);
  for (size_t i = 0; i < counts.size(); ++i)
    leaves.push_back({counts[i], reinterpret_cast<Real*>(a[4 * i]), reinterpret_cast<const Real*>(a[4 * i + 1]),
        reinterpret_cast<Real*>(a[4 * i + 2]), reinterpret_cast<Real*>(a[4 * i + 3]), rates.data() + i * width});
  return leaves;
}
template <class Real> double gradient_norm(
    const std::vector<int64_t>& counts, const std::vector<Address>& addresses, int threads) {
  const std::vector<Leaf<Real>> leaves = make_leaves<Real>(counts, addresses, {});
  if constexpr (sizeof(Real) == 4) return optimizer().norm_float({leaves, 1, threads});
  else return optimizer().norm_double({leaves, 1, threads});
}
template <class Real> void sgd(const std::vector<int64_t>& counts, const std::vector<Address>& addresses,
    const std::vector<double>& rates, double scale, int threads) {
  const std::vector<Leaf<Real>> leaves = make_leaves<Real>(counts, addresses, rates);
  if constexpr (sizeof(Real) == 4) optimizer().sgd_float({leaves, scale, threads});
  else optimizer().sgd_double({leaves, scale, threads});
}
template <class Real> void adamw(const std::vector<int64_t>& counts, const std::vector<Address>& addresses,
    const std::vector<double>& rates, double scale, int threads) {
  const std::vector<Leaf<Real>> leaves = make_leaves<Real>(counts, addresses, rates);
  if constexpr (sizeof(Real) == 4) optimizer().adamw_float({leaves, scale, threads});
  else optimizer().adamw_double({leaves, scale, threads});
}

void bind_stream(nb::module_& m);

}  // namespace longhold

NB_MODULE(_cpu, m) {
  using namespace longhold;
  m.def("forward_float", &forward<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("forward_double", &forward<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("backward_float", &backward<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("backward_double", &backward<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("loss_block_float", &loss_block<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("loss_block_double", &loss_block<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("gradient_norm_float", &gradient_norm<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("gradient_norm_double", &gradient_norm<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("sgd_float", &sgd<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("sgd_double", &sgd<double>, nb::call_guard<nb::gil_scoped_release>());
  m.def("adamw_float", &adamw<float>, nb::call_guard<nb::gil_scoped_release>());
  m.def("adamw_double", &adamw<double>, nb::call_guard<nb::gil_scoped_release>());
  bind_extended(m);
  m.def("instruction_sets", &isa_available, "instruction sets that this processor has, best first");
  m.def("instruction_set", &isa_name, "the one in use");
  m.def("use_instruction_set", &isa_use, "use another one, for tests");
  bind_stream(m);
}
