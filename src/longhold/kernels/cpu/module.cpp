// The Python module: addresses in, nothing out. Python has checked types, devices and strides.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <omp.h>

#include <algorithm>
#include <string>
#include <vector>

#include "addresses.h"
#include "backend.h"
#include "extended_module.h"
#include "loss.h"
#include "optimizer.h"
#include "team.h"

namespace nb = nanobind;

namespace longhold {

// T, B, I, H, segment, checkpoint_interval
using Sizes = std::vector<int64_t>;

template <class Real> Call<Real> make_call(const Sizes& n, bool reverse, const std::vector<Address>& addresses) {
  Addresses a(addresses);
  return {
      .T = n.at(0),
      .B = n.at(1),
      .I = n.at(2),
      .H = n.at(3),
      .segment = n.at(4),
      .checkpoint_interval = n.at(5),
      .reverse = reverse,
      .x = a.next(),
      .ids = a.next(),
      .weight_ih = a.next(),
      .weight_hh = a.next(),
      .bias_ih = a.next(),
      .bias_hh = a.next(),
      .h0 = a.next(),
      .c0 = a.next(),
      .h_initial = a.next(),
      .c_initial = a.next(),
      .lengths = a.next(),
      .reset = a.next(),
      .mask = a.next(),
      .gates = a.next(),
      .q = a.next(),
      .h = a.next(),
      .c = a.next(),
      .h_n = a.next(),
      .c_n = a.next(),
      .h_out = a.next(),
  };
}
template <class Real> Gradients<Real> make_gradients(const std::vector<Address>& addresses) {
  Addresses a(addresses);
  return {
      .d_out = a.next(),
      .d_cs = a.next(),
      .d_h_n = a.next(),
      .d_c_n = a.next(),
      .d_x = a.next(),
      .d_weight_ih = a.next(),
      .d_weight_hh = a.next(),
      .d_bias_ih = a.next(),
      .d_bias_hh = a.next(),
      .d_h0 = a.next(),
      .d_c0 = a.next(),
      .d_h_initial = a.next(),
      .d_c_initial = a.next(),
  };
}

// Rows need no waiting, so they are split as long as each thread fills its tiles; else units are, if there are enough.
Plan plan_for(int64_t T, int64_t B, int64_t H, int lanes, int threads) {
  if (threads <= 1 || T * B * H * H < 200000) return {1, true};
  if (B >= 4 * threads) return {threads, true};
  if (H >= 8 * lanes)
    return contention.allows_waiting() ? Plan{threads, false} : Plan{1, true};  // which changes no bit
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
  const LogitBlock<Real> block{
      .rows = rows,
      .size = size,
      .targets = reinterpret_cast<const int64_t*>(targets),
      .ignored = ignored,
      .logits = reinterpret_cast<Real*>(logits),
      .nats = reinterpret_cast<double*>(nats),
      .scale = static_cast<Real>(scale),
  };
  if constexpr (sizeof(Real) == 4) loss().block_float(block, threads);
  else loss().block_double(block, threads);
}

// For each leaf its count, the addresses of its tensors and, but for the norm, its rates.
template <class Real> std::vector<Leaf<Real>> make_leaves(
    const std::vector<int64_t>& counts, const std::vector<Address>& addresses, const std::vector<double>& rates) {
  std::vector<Leaf<Real>> leaves;
  Addresses a(addresses);
  const size_t width = rates.size() / std::max<size_t>(counts.size(), 1);
  for (size_t i = 0; i < counts.size(); ++i)
    leaves.push_back({
        .count = counts[i],
        .value = a.next(),
        .gradient = a.next(),
        .first = a.next(),
        .second = a.next(),
        .rates = rates.data() + i * width,
    });
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
