#include "loss.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

#include "team.h"
#include "vector.h"

namespace longhold {
inline namespace LONGHOLD_ISA {
namespace {

template <class Real> inline double sum_of(Vector<Real> v) {
  double sum = 0;
  for (int i = 0; i < Lanes<Real>::count; ++i) sum += v[i];
  return sum;
}

template <class Real> inline Vector<Real> lane_numbers() {
  Vector<Real> v{};
  for (int i = 0; i < Lanes<Real>::count; ++i) v[i] = static_cast<Real>(i);
  return v;
}

// Where the size is no multiple of W, the last W numbers make the last vector: `old` of its lanes belong to the one
// before.
template <class Real> struct LogitRow {
  static constexpr int W = Lanes<Real>::count;
  Real* x;
  int64_t size;
  int64_t in_whole_vectors() const { return size / W * W; }
  int old() const { return static_cast<int>(W - size % W); }

  Real largest() const {
    if (size < W) return *std::max_element(x, x + size);
    Vector<Real> most = load(x + size - W);
    for (int64_t i = 0; i < in_whole_vectors(); i += W) most = max(load(x + i), most);
    Real result = most[0];
    for (int k = 1; k < W; ++k) result = std::max(result, Real(most[k]));
    return result;
  }
  // The sum of e^(x - shift); with `keep` the terms take the place of x.
  double sum_of_exp(Real shift, bool keep) const {
    if (size < W) {
      const Vector<Real> y = exp(load(x, static_cast<int>(size)) - shift);
      if (keep) store(x, y, static_cast<int>(size));
      return sum_of<Real>(lane_numbers<Real>() < static_cast<Real>(size) ? y : Vector<Real>{});
    }
    const Vector<Real> last = exp(load(x + size - W) - shift);
    Vector<Real> sum =
        size % W ? (lane_numbers<Real>() >= static_cast<Real>(old()) ? last : Vector<Real>{}) : Vector<Real>{};
    double total = 0;
    for (int64_t i = 0; i < in_whole_vectors(); i += W) {
      const Vector<Real> y = exp(load(x + i) - shift);
      if (keep) store(x + i, y);
      sum += y;
      if (i % (64 * W) == 63 * W) total += sum_of<Real>(sum), sum = Vector<Real>{};  // short float sums stay exact
    }
    if (keep) store(x + size - W, last);
    return total + sum_of<Real>(sum);
  }
  void scale(Real by) const {
    if (size < W) return store(x, load(x, static_cast<int>(size)) * by, static_cast<int>(size));
    const Vector<Real> last = load(x + size - W) * by;
    for (int64_t i = 0; i < in_whole_vectors(); i += W) store(x + i, load(x + i) * by);
    store(x + size - W, last);
  }
};

template <class Real> double nats_of(const LogitBlock<Real>& p, int64_t n) {
  const LogitRow<Real> row{p.logits + n * p.size, p.size};
  const int64_t target = p.targets[n];
  const bool gradient = p.scale != 0;
  if (target == p.ignored) {
    if (gradient) std::fill_n(row.x, p.size, Real(0));
    return 0;
  }
  const Real shift = row.largest(), at_target = row.x[target];
  const double sum = row.sum_of_exp(shift, gradient);
  if (gradient) {
    row.scale(static_cast<Real>(p.scale / sum));
    row.x[target] -= p.scale;
  }
  return std::log(sum) + (static_cast<double>(shift) - static_cast<double>(at_target));
}

template <class Real> void block(const LogitBlock<Real>& p, int threads) {
  for (int64_t n = 0; n < p.rows; ++n)
    if (p.targets[n] != p.ignored && (p.targets[n] < 0 || p.targets[n] >= p.size))
      throw std::out_of_range("Target " + std::to_string(p.targets[n]) + " is out of bounds.");
  const int wanted = static_cast<int>(std::clamp<int64_t>(p.rows * p.size / 16384, 1, threads));
  in_team(wanted, [&](int me, int team) {
    for (int64_t n = p.rows * me / team; n < p.rows * (me + 1) / team; ++n) p.nats[n] = nats_of(p, n);
  });
}

}  // namespace
}  // namespace LONGHOLD_ISA

const LossTable& LONGHOLD_TABLE(loss)() {
  static const LossTable table{block<float>, block<double>};
  return table;
}

}  // namespace longhold
