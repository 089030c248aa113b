// The next token from a row of logits, by the rules of longhold.sampling.filter_logits.
#pragma once
#include <functional>
#include <limits>

#include "engine.h"
#include "stream.h"

namespace longhold {
inline namespace LONGHOLD_ISA {

template <class Real> class Sampler {
  static constexpr int W = Lanes<Real>::count;
  int64_t V = 0;
  Buffer<Real> weights;
  Buffer<int32_t> order;

  // A heap's top is the token that comes first: the most probable, of equals the one with the smallest id.
  struct Later {
    const Real* logits;
    bool operator()(int32_t a, int32_t b) const { return logits[a] != logits[b] ? logits[a] < logits[b] : a > b; }
  };
  static constexpr Real out = -std::numeric_limits<Real>::infinity();

 public:
  Sampler() = default;
  explicit Sampler(int64_t V) : V(V), weights(allocate<Real>(V + W)), order(allocate<int32_t>(V)) {}
  Sampler alike() const { return V ? Sampler(V) : Sampler(); }

  // The id, or -1 where no finite logit is the largest or no id is allowed. The logits, padded to whole vectors, are
  // overwritten. `barred`, as long as they are, is 0 for the allowed ids and -inf for all others; null: all are
  // allowed.
  int64_t draw(Real* logits, const Rules& rules, const Real* barred, double uniform) const {
    int64_t best = 0;
    for (int64_t v = 0; v < V; ++v) {
      if (logits[v] != logits[v]) return -1;
      if (logits[v] > logits[best]) best = v;
    }
    if (!(logits[best] - logits[best] == 0)) return -1;
    const Real largest = barred ? keep_allowed(logits, barred) : logits[best];
    if (largest == out) return -1;
    if (rules.temperature == 0) {
      if (barred) best = 0;
      while (logits[best] != largest) ++best;
      return best;
    }
    const Real temperature = static_cast<Real>(rules.temperature);
    for (int64_t v = 0; v < V; ++v) logits[v] = (logits[v] - largest) / temperature;
    if (rules.top_k > 0 && rules.top_k < V) keep_top_k(logits, rules.top_k);
    exponentiate(logits);
    if (rules.top_p < 1) keep_top_p(logits, rules.top_p);
    double total = 0;
    for (int64_t v = 0; v < V; ++v) {
      if (weights[v] < static_cast<Real>(rules.min_p)) weights[v] = 0;
      total += weights[v];
    }
    return pick(uniform * total);
  }

 private:
  // Returns the largest that is left, -inf where nothing is. Where every allowed id is impossible, all of them become
  // equally likely.
  Real keep_allowed(Real* logits, const Real* barred) const {
    Vector<Real> lanes = splat(out);
    for (int64_t v = 0; v < V; v += W) {
      const Vector<Real> x = load(logits + v) + load(barred + v);
      lanes = max(lanes, x);
      store(logits + v, x);
    }
    Real largest = out;
    for (int i = 0; i < W; ++i) largest = lanes[i] > largest ? lanes[i] : largest;
    if (largest != out) return largest;
    for (int64_t v = 0; v < V; ++v)
      if (barred[v] == 0) logits[v] = largest = 0;
    return largest;
  }

  void keep_top_k(Real* logits, int64_t k) const {
    std::memcpy(weights.get(), logits, V * sizeof(Real));
    std::nth_element(weights.get(), weights.get() + k - 1, weights.get() + V, std::greater<Real>{});
    const Real last = weights[k - 1];
    for (int64_t v = 0; v < V; ++v)
      if (logits[v] < last) logits[v] = out;
  }

  void exponentiate(const Real* logits) const {
    for (int64_t v = 0; v < V; v += W) {
      const Vector<Real> x = load(logits + v);
      const Vector<Real> e = exp(x);
      store(weights.get() + v, x == splat(out) ? Vector<Real>{} : e);
    }
  }

  // Keep a token if those before it, from the most probable down, have less than p together.
  void keep_top_p(const Real* logits, double p) const {
    double total = 0;
    for (int64_t v = 0; v < V; ++v) total += weights[v];
    for (int64_t v = 0; v < V; ++v) order[v] = static_cast<int32_t>(v);
    const Later later{logits};
    int32_t *begin = order.get(), *end = begin + V;
    std::make_heap(begin, end, later);
    for (double before = 0; begin != end && before < p * total; --end) {
      std::pop_heap(begin, end, later);
      before += weights[end[-1]];
    }
    for (; begin != end; ++begin) weights[*begin] = 0;
  }

  int64_t pick(double target) const {
    int64_t last = 0;
    double sum = 0;
    for (int64_t v = 0; v < V; ++v) {
      if (weights[v] == 0) continue;
      sum += weights[v];
      if (sum > target) return v;
      last = v;
    }
    return last;
  }
};

}  // namespace LONGHOLD_ISA
}  // namespace longhold
