#include "optimizer.h"

#include <algorithm>
#include <cmath>

#include "team.h"

namespace longhold {
inline namespace LONGHOLD_ISA {
namespace {

constexpr int64_t piece_length = 8192, worth_a_thread = 8;  // numbers, pieces

template <class Real> struct Piece {
  const Leaf<Real>* leaf;
  int64_t from, to;
};

// All numbers of all leaves in pieces that do not depend on the threads; `body` gets a piece and its number.
template <class Real, class Body> void in_pieces(const Update<Real>& p, Body body) {
  std::vector<Piece<Real>> pieces;
  for (const Leaf<Real>& leaf : p.leaves)
    for (int64_t from = 0; from < leaf.count; from += piece_length)
      pieces.push_back({&leaf, from, std::min(leaf.count, from + piece_length)});
  const int64_t count = static_cast<int64_t>(pieces.size());
  in_team(static_cast<int>(std::clamp<int64_t>(count / worth_a_thread, 1, p.threads)), [&](int me, int team) {
    for (int64_t i = count * me / team; i < count * (me + 1) / team; ++i) body(pieces[i], i);
  });
}

template <class Real> double square_sum(const Real* x, int64_t count) {
  constexpr int lanes = 16;
  double sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    for (int k = 0; k < lanes; ++k) sums[k] += static_cast<double>(x[i + k]) * static_cast<double>(x[i + k]);
  for (int k = 0; i < count; ++i, ++k) sums[k] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double sum = 0;
  for (double lane : sums) sum += lane;
  return sum;
}

template <class Real> double norm(const Update<Real>& p) {
  int64_t count = 0;
  for (const Leaf<Real>& leaf : p.leaves) count += (leaf.count + piece_length - 1) / piece_length;
  std::vector<double> sums(count);
  in_pieces(p, [&](const Piece<Real>& piece, int64_t i) {
    sums[i] = square_sum(piece.leaf->gradient + piece.from, piece.to - piece.from);
  });
  double sum = 0;
  for (double part : sums) sum += part;
  return std::sqrt(sum);
}

template <class Real> void sgd(const Update<Real>& p) {
  in_pieces(p, [&](const Piece<Real>& piece, int64_t) {
    const Leaf<Real>& leaf = *piece.leaf;
    const SgdRates& rates = *reinterpret_cast<const SgdRates*>(leaf.rates);
    const Real scale = static_cast<Real>(p.scale), lr = static_cast<Real>(rates.lr),
               momentum = static_cast<Real>(rates.momentum), decay = static_cast<Real>(rates.weight_decay);
    Real* __restrict value = leaf.value;
    const Real* __restrict gradient = leaf.gradient;
    Real* __restrict velocity = leaf.first;
    if (velocity) {
      for (int64_t i = piece.from; i < piece.to; ++i) {
        velocity[i] = momentum * velocity[i] + (scale * gradient[i] + decay * value[i]);
        value[i] -= lr * velocity[i];
      }
    } else {
      for (int64_t i = piece.from; i < piece.to; ++i) value[i] -= lr * (scale * gradient[i] + decay * value[i]);
    }
  });
}

template <class Real> void adamw(const Update<Real>& p) {
  in_pieces(p, [&](const Piece<Real>& piece, int64_t) {
    const Leaf<Real>& leaf = *piece.leaf;
    const AdamwRates& rates = *reinterpret_cast<const AdamwRates*>(leaf.rates);
    const Real scale = static_cast<Real>(p.scale), eps = static_cast<Real>(rates.eps);
    const Real keep = static_cast<Real>(1 - rates.lr * rates.weight_decay);
    const Real new1 = static_cast<Real>(1 - rates.beta1), old2 = static_cast<Real>(rates.beta2),
               new2 = static_cast<Real>(1 - rates.beta2);
    const Real size = static_cast<Real>(rates.lr / (1 - std::pow(rates.beta1, rates.step)));
    const Real root = static_cast<Real>(std::sqrt(1 - std::pow(rates.beta2, rates.step)));
    Real* __restrict value = leaf.value;
    const Real* __restrict gradient = leaf.gradient;
    Real* __restrict mean = leaf.first;
    Real* __restrict square = leaf.second;
    for (int64_t i = piece.from; i < piece.to; ++i) {
      const Real g = scale * gradient[i];
      mean[i] += new1 * (g - mean[i]);
      square[i] = old2 * square[i] + new2 * g * g;
      value[i] = keep * value[i] - size * (mean[i] / (std::sqrt(square[i]) / root + eps));
    }
  });
}

}  // namespace
}  // namespace LONGHOLD_ISA

const OptimizerTable& LONGHOLD_TABLE(optimizer)() {
  static const OptimizerTable table{norm<float>, norm<double>, sgd<float>, sgd<double>, adamw<float>, adamw<double>};
  return table;
}

}  // namespace longhold
