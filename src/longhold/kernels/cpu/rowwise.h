// What is done to one row of numbers: walking it by vectors, layer norm, zoneout, sums over many rows.
#pragma once
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "engine.h"
#include "moments.h"

namespace longhold {
inline namespace LONGHOLD_ISA {
namespace options {

// f(at, count) for each vector of a row of n numbers; the count is a constant but for the last.
template <class Real, class F> inline void for_each_vector(int64_t n, F f) {
  constexpr int W = Lanes<Real>::count;
  int64_t at = 0;
  for (; at + W <= n; at += W) f(at, std::integral_constant<int, W>{});
  if (at < n) f(at, static_cast<int>(n - at));
}

template <class Real> inline Real total(Vector<Real> v) {
  Real sum = 0;
  for (int i = 0; i < Lanes<Real>::count; ++i) sum += v[i];
  return sum;
}

// The first n lanes, the others zero.
template <class Real> inline Vector<Real> mask_tail(Vector<Real> v, int n) {
  for (int i = n; i < Lanes<Real>::count; ++i) v[i] = 0;
  return v;
}

template <class Real> inline void add(Real* to, Vector<Real> v, int64_t at, int n) {
  store(to + at, load(to + at, n) + v, n);
}

template <class Real> inline void fill(Real* to, int64_t n, Real value) { std::fill(to, to + n, value); }

template <class Real> inline Moments<Real> moments(const Real* x, int64_t n) {
  Vector<Real> sum{}, squares{};
  for_each_vector<Real>(n, [&](int64_t at, auto k) { sum += load(x + at, k); });
  const Real mean = total<Real>(sum) / n;
  for_each_vector<Real>(n, [&](int64_t at, auto k) {
    const Vector<Real> v = mask_tail<Real>(load(x + at, k) - mean, k);
    squares += v * v;
  });
  return moments_of(mean, total<Real>(squares) / n, [x](int64_t i) { return x[i]; }, n);
}

// y = (x - mean x) / std x, in place too; returns 1 / std.
template <class Real> inline Real normalize(const Real* x, Real* y, int64_t n) {
  const Moments<Real> m = moments(x, n);
  for_each_vector<Real>(n, [&](int64_t at, auto k) { store(y + at, (load(x + at, k) - m.mean) * m.scale, k); });
  return m.scale;
}

// The gradient of x from that of y * gain; `d_x` may be `d`.
template <class Real> inline void normalize_backward(
    const Real* d, const Real* gain, const Real* y, Real scale, Real* d_x, int64_t n) {
  Vector<Real> sum{}, dot{};
  for_each_vector<Real>(n, [&](int64_t at, auto k) {
    const Vector<Real> v = load(d + at, k) * load(gain + at, k);
    sum += v;
    dot += v * load(y + at, k);
  });
  const Real mean = total<Real>(sum) / n, slope = total<Real>(dot) / n;
  for_each_vector<Real>(n, [&](int64_t at, auto k) {
    store(d_x + at, (load(d + at, k) * load(gain + at, k) - mean - load(y + at, k) * slope) * scale, k);
  });
}

// One field's zoneout at one row: a mask, true keeps the old value, or a rate, its expectation.
template <class Real> struct Zone {
  const uint8_t* keep;
  Real rate;

  void forward(const Real* old, const Real* updated, Real* to, int64_t n) const {
    for_each_vector<Real>(
        n, [&](int64_t at, auto k) { store(to + at, mixed(load(old + at, k), load(updated + at, k), at, k), k); });
  }
  // d splits into what the old value gets and, in place, what the updated one gets.
  void backward(Real* d, Real* d_old, int64_t n) const {
    for_each_vector<Real>(n, [&](int64_t at, auto k) {
      const Vector<Real> v = load(d + at, k), none{};
      store(d_old + at, mixed(v, none, at, k), k);
      store(d + at, mixed(none, v, at, k), k);
    });
  }

 private:
  template <class N> Vector<Real> mixed(Vector<Real> old, Vector<Real> updated, int64_t at, N n) const {
    if (!keep) return rate * old + (1 - rate) * updated;
    for (int i = 0; i < n; ++i) updated[i] = keep[at + i] ? old[i] : updated[i];
    return updated;
  }
};

// Sums over steps and rows, one for each thread. A few rows are added up as they are, their sums as doubles.
template <class Real> class Sums {
  static constexpr int rows_at_once = 32;
  int64_t size = 0;
  int rows = 0;
  std::vector<Real> some;
  std::vector<double> all;
  std::vector<Real*> destinations;

 public:
  Real *bias, *gain_h, *peephole, *gain_c, *shift_c;  // where to add, or null where it isn't needed

  // Each part's length, and where the caller wants its sum, or null.
  void prepare(const int64_t (&lengths)[5], Real* const (&wanted)[5]) {
    Real** const parts[5] = {&bias, &gain_h, &peephole, &gain_c, &shift_c};
    for (int i = 0; i < 5; ++i) size += wanted[i] ? lengths[i] : 0;
    some.assign(size, 0);
    all.assign(size, 0);
    int64_t at = 0;
    for (int i = 0; i < 5; ++i) {
      *parts[i] = wanted[i] ? some.data() + at : nullptr;
      for (int64_t k = 0; wanted[i] && k < lengths[i]; ++k) destinations.push_back(wanted[i] + k);
      at += wanted[i] ? lengths[i] : 0;
    }
  }
  void row_done() {
    if (++rows == rows_at_once) flush();
  }
  void flush() {
    for (int64_t i = 0; i < size; ++i) all[i] += some[i], some[i] = 0;
    rows = 0;
  }
  void merge(const Sums& other) {
    for (int64_t i = 0; i < size; ++i) all[i] += other.all[i];
  }
  void leave() const {
    for (int64_t i = 0; i < size; ++i) *destinations[i] = static_cast<Real>(all[i]);
  }
};

}  // namespace options
}  // namespace LONGHOLD_ISA
}  // namespace longhold
