// All cells for one instruction set. CMake compiles this file once for each, with LONGHOLD_BYTES and LONGHOLD_ISA set.
#include "backend.h"

#include "gru.h"
#include "lstm.h"
#include "rnn.h"

namespace longhold {
inline namespace LONGHOLD_ISA {

template <class Cell, class Real> void forward(const void* call, const Plan& plan) {
  Engine<Cell, Real>(*static_cast<const Call<Real>*>(call)).forward(plan);
}
template <class Cell, class Real> void backward(const void* call, const void* gradients, const Plan& plan) {
  Engine<Cell, Real>(*static_cast<const Call<Real>*>(call))
      .backward(plan, *static_cast<const Gradients<Real>*>(gradients));
}
template <class Cell> constexpr Passes passes() {
  return {{forward<Cell, float>, forward<Cell, double>}, {backward<Cell, float>, backward<Cell, double>},
      Lanes<float>::count};
}

}  // namespace LONGHOLD_ISA

const Backend& LONGHOLD_TABLE(backend)() {
  static const Backend backend{
      {passes<RnnCell<false>>(), passes<RnnCell<true>>(), passes<GruCell>(), passes<LstmCell>()}};
  return backend;
}

}  // namespace longhold
