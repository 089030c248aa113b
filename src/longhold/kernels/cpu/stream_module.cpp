// The stepper in Python: addresses in, nothing out but counts. Python has checked types, devices and strides.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <string>
#include <vector>

#include "addresses.h"
#include "stream.h"

namespace nb = nanobind;

namespace longhold {

Stepper::~Stepper() = default;  // here, so that no instruction set's copy of it is the one that is linked

namespace {

template <class T> T* at(Address address) { return reinterpret_cast<T*>(address); }

// A stepper's state and scratch serve one caller at a time.
class Turn {
  Stepper& stepper;

 public:
  explicit Turn(Stepper& s) : stepper(s) {
    if (s.busy.test_and_set(std::memory_order_acquire))
      throw std::runtime_error("the stream is in use by another thread");
  }
  ~Turn() { stepper.busy.clear(std::memory_order_release); }
};

void check_ids(const Stepper& s, int64_t count, const int64_t* ids) {
  for (int64_t i = 0; i < count; ++i)
    if (ids[i] < 0 || ids[i] >= s.V)
      throw nb::index_error(("id " + std::to_string(ids[i]) + " is outside 0.." + std::to_string(s.V - 1)).c_str());
}

MatrixView next_matrix(Addresses& a, Storage storage) {
  return {.values = a.next(), .scale = a.next(), .storage = storage};
}

LayerView layer_view(int64_t I, const std::vector<Address>& addresses, Storage storage) {
  Addresses a(addresses);
  return {
      .I = I,
      .ih = next_matrix(a, storage),
      .hh = next_matrix(a, storage),
      .hr = next_matrix(a, storage),
      .bias_ih = a.next(),
      .bias_hh = a.next(),
      .peephole = a.next(),
      .norm_ih = a.next(),
      .norm_hh = a.next(),
      .norm_c = a.next(),
      .bias_norm_c = a.next(),
      .h_initial = a.next(),
      .c_initial = a.next(),
  };
}

// `output` holds the addresses of the output layer's weight, its scale and its bias.
std::unique_ptr<Stepper> make_stepper(int cell, bool is_double, int storage, int64_t B, int64_t H, int64_t P,
    double zoneout_h, double zoneout_c, const std::vector<int64_t>& widths,
    const std::vector<std::vector<Address>>& layers, int64_t V, Address embedding, const std::vector<Address>& output,
    int64_t outputs) {
  const auto stored_as = static_cast<Storage>(storage);
  std::vector<LayerView> views;
  for (size_t l = 0; l < layers.size(); ++l) views.push_back(layer_view(widths[l], layers[l], stored_as));
  Addresses a(output);
  const StackView stack{
      .cell = static_cast<StreamCell>(cell),
      .B = B,
      .H = H,
      .P = P,
      .zoneout_h = zoneout_h,
      .zoneout_c = zoneout_c,
      .layers = views.data(),
      .count = static_cast<int64_t>(views.size()),
      .embedding = at<const void>(embedding),
      .V = V,
      .output = next_matrix(a, stored_as),
      .output_bias = a.next(),
      .outputs = outputs,
  };
  return std::unique_ptr<Stepper>(steppers().make[is_double](stack));
}

void run(Stepper& s, int64_t steps, Address x, Address ids, Address out, int threads) {
  const Turn turn(s);
  if (ids) check_ids(s, steps * s.B, at<const int64_t>(ids));
  s.run(steps, at<const void>(x), at<const int64_t>(ids), at<void>(out), threads);
}
void run_released(Stepper& s, int64_t steps, Address x, Address ids, Address out, int threads) {
  const nb::gil_scoped_release released;
  run(s, steps, x, ids, out, threads);
}

// One step of features; for steps so short that handing the interpreter's lock over and back would cost more.
void step(Stepper& s, Address x, Address out) { run(s, 1, x, 0, out, 1); }

class Memory {
  Py_buffer view{};
  bool held;

 public:
  Memory(nb::handle array, int flags)
      : held(PyObject_GetBuffer(array.ptr(), &view, flags | PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) == 0) {
    if (!held) PyErr_Clear();
  }
  ~Memory() {
    if (held) PyBuffer_Release(&view);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  bool holds(const Stepper& s, int64_t columns, bool batched) const {
    if (!held || !view.format || std::strcmp(view.format, s.width == 8 ? "d" : "f") != 0 || view.ndim != 1 + batched)
      return false;
    return view.shape[view.ndim - 1] == columns && (!batched || view.shape[0] == s.B);
  }
  Address address() const { return reinterpret_cast<Address>(view.buf); }
};

// The same for arrays by Python's buffer protocol: x (B, I) or (I,), out (B, P) or (P,), of the stream's type and
// dense. False, and nothing is done, where they are not.
bool step_arrays(Stepper& s, nb::handle x, nb::handle out, int64_t P, bool batched) {
  const Memory in(x, 0), to(out, PyBUF_WRITABLE);
  if (!in.holds(s, s.I, batched) || !to.holds(s, P, batched)) return false;
  step(s, in.address(), to.address());
  return true;
}

int64_t draw(Stepper& s, int64_t count, Address ids, Address uniforms, double temperature, int64_t top_k, double top_p,
    double min_p, int threads) {
  const Turn turn(s);
  check_ids(s, s.B, at<const int64_t>(ids));
  return s.draw(count, at<int64_t>(ids), at<const double>(uniforms), {temperature, top_k, top_p, min_p}, threads);
}

void follow(Stepper& s, int64_t states, Address next, Address places) {
  const Turn turn(s);
  s.follow(states, at<const int8_t>(next), at<const int8_t>(places));
}

}  // namespace

void bind_stream(nb::module_& m) {
  const auto released = nb::call_guard<nb::gil_scoped_release>();
  nb::class_<Stepper>(m, "Stepper")
      .def("run", &run_released)
      .def("step", &step)
      .def("step_arrays", &step_arrays)
      .def("draw", &draw, released)
      .def("follow", &follow)
      .def("read_state",
          [](Stepper& s, Address h, Address c) {
            const Turn turn(s);
            s.read_state(at<void>(h), at<void>(c));
          })
      .def("write_state",
          [](Stepper& s, Address h, Address c) {
            const Turn turn(s);
            s.write_state(at<const void>(h), at<const void>(c));
          })
      .def("reset",
          [](Stepper& s, int64_t row) {
            const Turn turn(s);
            s.reset(row);
          })
      .def("copy",
          [](Stepper& s) {
            const Turn turn(s);
            return std::unique_ptr<Stepper>(s.copy());
          })
      .def("products", &Stepper::products);
  using nb::literals::operator""_a;
  m.def("make_stepper", &make_stepper, nb::kw_only(), "cell"_a, "is_double"_a, "storage"_a, "B"_a, "H"_a, "P"_a,
      "zoneout_h"_a, "zoneout_c"_a, "widths"_a, "layers"_a, "V"_a, "embedding"_a, "output"_a, "outputs"_a,
      "layers stepped with carried state");
}

}  // namespace longhold
