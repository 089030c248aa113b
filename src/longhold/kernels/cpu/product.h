// Products: packed panels, the register tile, and the gradient of a weight.
#pragma once
#include <algorithm>

#include "memory.h"
#include "team.h"
#include "vector.h"

namespace longhold {
inline namespace LONGHOLD_ISA {

constexpr int registers = LONGHOLD_BYTES == 64 ? 24 : 12;  // accumulators that a tile may hold
constexpr int wide = 4;                                    // vectors in a row of a tile that has no gates
constexpr int tall = registers / wide;                     // rows of such a tile

struct Range {
  int64_t begin, end;
};
inline Range cut(int64_t count, int me, int team) { return {count * me / team, count * (me + 1) / team}; }

// acc[m][n] += sum over k of a[m][k] * panel[k][n], N vectors wide.
template <class Real, int M, int N>
inline void multiply(const Real* const* a, const Real* panel, int64_t K, Vector<Real> (&acc)[M][N]) {
  constexpr int W = Lanes<Real>::count;
  for (int64_t k = 0; k < K; ++k) {
    Vector<Real> b[N];
#pragma GCC unroll 16
    for (int n = 0; n < N; ++n) b[n] = load(panel + (k * N + n) * W);
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      const Vector<Real> s = splat(a[m][k]);
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) acc[m][n] += s * b[n];
    }
  }
}

// Calls tile.template operator()<rows>(first) for all rows, at most `most` at a time.
template <int most, class Tile> inline void in_tiles(int64_t count, const Tile& tile, int64_t first = 0) {
  if constexpr (most > 0) {
    for (; count >= most; count -= most, first += most) tile.template operator()<most>(first);
    if (count) in_tiles<most - 1>(count, tile, first);
  }
}

// One column of `lanes` weights per k, transposed out of rows that are `stride` apart: out[k * step + lane].
template <class Real> void transpose(
    const Real* from, int64_t lanes, int64_t stride, int64_t K, Real* out, int64_t step) {
  constexpr int W = Lanes<Real>::count;
  constexpr int64_t block = 16;
  for (int64_t k = 0; k < K; k += block) {
    const int64_t n = std::min(block, K - k);
    Real square[block][W] = {};
    for (int64_t lane = 0; lane < lanes; ++lane)
      for (int64_t i = 0; i < n; ++i) square[i][lane] = from[lane * stride + k + i];
    for (int64_t i = 0; i < n; ++i) store(out + (k + i) * step, load(square[i]));
  }
}

// Panels of the columns of a (K, N) matrix: [block of wide * W columns][k][wide][lane].
template <class Real> constexpr int64_t columns = wide * Lanes<Real>::count;
template <class Real> int64_t column_blocks(int64_t N) { return (N + columns<Real> - 1) / columns<Real>; }
template <class Real> void pack_columns(const Real* from, int64_t K, int64_t N, Range blocks, Real* out) {
  for (int64_t j = blocks.begin; j < blocks.end; ++j) {
    const int64_t n = std::min<int64_t>(columns<Real>, N - j * columns<Real>);
    for (int64_t k = 0; k < K; ++k) {
      Real* o = out + (j * K + k) * columns<Real>;
      std::memcpy(o, from + k * N + j * columns<Real>, n * sizeof(Real));
      std::fill(o + n, o + columns<Real>, Real(0));
    }
  }
}

inline int64_t valid_lanes(int64_t end, int64_t begin, int64_t W) { return std::clamp<int64_t>(end - begin, 0, W); }

// d_weight (rows, width) = sum over k of d[k] outer operand[k]; both are handed over block by block of k.
template <class Real> struct WeightGradient {
  static constexpr int W = Lanes<Real>::count;
  static constexpr int64_t depth = 1024 / sizeof(Real);  // steps in a block
  static constexpr int64_t group = 8;                    // tiles for which d is packed at once: whole cache lines

  // Adds (or, for the first block, sets) rows [m, m + count) of the gradient. d: [k][tall], operands: [k][wide][W].
  static void tile(
      const Real* d, const Real* operands, int64_t K, int64_t count, Real* out, int64_t stride, int64_t n, bool first) {
    Vector<Real> acc[tall][wide] = {};
    for (int64_t k = 0; k < K; ++k) {
      Vector<Real> b[wide];
#pragma GCC unroll 16
      for (int i = 0; i < wide; ++i) b[i] = load(operands + (k * wide + i) * W);
#pragma GCC unroll 16
      for (int m = 0; m < tall; ++m) {
        const Vector<Real> s = splat(d[k * tall + m]);
#pragma GCC unroll 16
        for (int i = 0; i < wide; ++i) acc[m][i] += s * b[i];
      }
    }
#pragma GCC unroll 16
    for (int m = 0; m < tall; ++m) {
      if (m >= count) break;
#pragma GCC unroll 16
      for (int i = 0; i < wide; ++i) {
        const int lanes = static_cast<int>(valid_lanes(n, i * W, W));
        if (lanes == 0) break;
        Real* to = out + m * stride + i * W;
        store(to, first ? acc[m][i] : acc[m][i] + load(to, lanes), lanes);
      }
    }
  }
};

}  // namespace LONGHOLD_ISA
}  // namespace longhold
