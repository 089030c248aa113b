// A matrix packed once for products with few vectors: panels of rows, read in order from end to end.
#pragma once
#include "engine.h"

namespace longhold {
inline namespace LONGHOLD_ISA {

template <class Real> inline int64_t padded(int64_t n) {
  constexpr int W = Lanes<Real>::count;
  return (n + W - 1) / W * W;
}

// The addends that four int8 in each 32-bit lane stand for, times 2^24, one of the four.
inline vfloat unpacked(vint lanes, int which) {
  return __builtin_convertvector((lanes << (24 - 8 * which)) & static_cast<int32_t>(0xff000000u), vfloat);
}

// (blocks * size, K), each block of rows padded to whole vectors, so that gates begin at one. Layout [panel][k][row], or
// for int8 [panel][k / 4][row] with four k in a lane. Rows of padding are zero.
template <class Real> class Panels {
  static constexpr int W = Lanes<Real>::count;
  static constexpr int N = LONGHOLD_BYTES == 64 ? 8 : 4;  // vectors in a panel
  static constexpr int M = registers / N;                 // vectors multiplied at once
  Buffer<Real> values;
  Buffer<int32_t> bytes;
  Buffer<Real> scale;

 public:
  int64_t K = 0, vectors = 0;
  explicit operator bool() const { return vectors > 0; }
  int64_t rows() const { return vectors * W; }

  Panels() = default;
  Panels(const Real* source, const int8_t* quantized, const Real* scales, int64_t blocks, int64_t size, int64_t K) : K(K), vectors(blocks * padded<Real>(size) / W) {
    const int64_t depth = quantized ? (K + 3) / 4 : K;
    if (quantized) {
      bytes = allocate<int32_t>(vectors * W * depth);
      scale = allocate<Real>(vectors * W);
      std::memset(bytes.get(), 0, vectors * W * depth * sizeof(int32_t));
    } else {
      values = allocate<Real>(vectors * W * depth);
    }
    for (int64_t r = 0; r < rows(); ++r) {
      const int64_t block = r / padded<Real>(size), unit = r % padded<Real>(size), row = block * size + unit;
      const int64_t j = r / (N * W), step = count_at(j) * W, at = j * N * W * depth + r % (N * W);
      if (quantized) {
        scale[r] = unit < size ? scales[row] / 16777216 : 0;
        if (unit >= size) continue;
        for (int64_t k = 0; k < K; ++k) {
          const uint32_t byte = static_cast<uint8_t>(quantized[row * K + k]);
          bytes[at + k / 4 * step] |= static_cast<int32_t>(byte << (8 * (k % 4)));
        }
      } else {
        for (int64_t k = 0; k < K; ++k) values[at + k * step] = unit < size ? source[row * K + k] : 0;
      }
    }
  }

  // out[m] = bias + W a[m], rows of this thread; bias may be null.
  void multiply(int64_t rows, const Real* a, int64_t a_stride, const Real* bias, Real* out, int64_t out_stride, int me, int team) const {
    const int64_t panels = (vectors + N - 1) / N;
    for (int64_t j = panels * me / team; j < panels * (me + 1) / team; ++j) panel<N>(j, rows, a, a_stride, bias, out, out_stride);
  }

  // out = bias + column k of W; bias may be null.
  void column(int64_t k, const Real* bias, Real* out) const {
    const int64_t depth = values ? K : (K + 3) / 4;
    for (int64_t v = 0; v < vectors; ++v) {
      const int64_t j = v / N, at = (j * N * depth + (values ? k : k / 4) * count_at(j) + v % N) * W;
      Vector<Real> found;
      if constexpr (sizeof(Real) == 4) found = values ? load(values.get() + at) : load(scale.get() + v * W) * unpacked(load_lanes(at), k % 4);
      else found = load(values.get() + at);
      store(out + v * W, bias ? found + load(bias + v * W) : found);
    }
  }

 private:
  int count_at(int64_t j) const { return static_cast<int>(std::min<int64_t>(N, vectors - j * N)); }

  vint load_lanes(int64_t at) const {
    vint lanes;
    std::memcpy(&lanes, bytes.get() + at, sizeof lanes);
    return lanes;
  }

  template <int n> void panel(int64_t j, int64_t rows, const Real* a, int64_t a_stride, const Real* bias, Real* out, int64_t out_stride) const {
    if constexpr (n > 1)
      if (count_at(j) < n) return panel<n - 1>(j, rows, a, a_stride, bias, out, out_stride);
    in_tiles<M, n>(j, rows, a, a_stride, bias, out, out_stride);
  }
  template <int m, int n> void in_tiles(int64_t j, int64_t rows, const Real* a, int64_t a_stride, const Real* bias, Real* out, int64_t out_stride) const {
    if constexpr (m > 0) {
      for (; rows >= m; rows -= m, a += m * a_stride, out += m * out_stride) tile<m, n>(j, a, a_stride, bias, out, out_stride);
      if (rows) in_tiles<m - 1, n>(j, rows, a, a_stride, bias, out, out_stride);
    }
  }

  template <int m, int n> void tile(int64_t j, const Real* a, int64_t a_stride, const Real* bias, Real* out, int64_t out_stride) const {
    constexpr int S = m * n >= 5 ? 1 : m * n >= 3 ? 2 : 4;  // sums kept apart, for an fma takes four cycles
    Vector<Real> acc[S][m][n] = {};
    if (values) accumulate<S, m, n>(j, a, a_stride, acc);
    else if constexpr (sizeof(Real) == 4) accumulate_bytes<m, n>(j, a, a_stride, acc[0]);
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < n; ++v) {
        Vector<Real> sum = acc[0][i][v];
#pragma GCC unroll 4
        for (int s = 1; s < S; ++s) sum += acc[s][i][v];
        const int64_t row = (j * N + v) * W;
        if (!values) sum *= load(scale.get() + row);
        store(out + i * out_stride + row, bias ? sum + load(bias + row) : sum);
      }
  }

  template <int S, int m, int n> void accumulate(int64_t j, const Real* a, int64_t a_stride, Vector<Real> (&acc)[S][m][n]) const {
    const Real* w = values.get() + j * N * W * K;
    int64_t k = 0;
    for (; k + S <= K; k += S)
#pragma GCC unroll 4
      for (int s = 0; s < S; ++s) add<m, n>(w + (k + s) * n * W, a + k + s, a_stride, acc[s]);
    for (; k < K; ++k) add<m, n>(w + k * n * W, a + k, a_stride, acc[0]);
  }
  template <int m, int n> static void add(const Real* w, const Real* a, int64_t a_stride, Vector<Real> (&acc)[m][n]) {
    Vector<Real> b[n];
#pragma GCC unroll 16
    for (int v = 0; v < n; ++v) b[v] = load(w + v * W);
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i) {
      const Vector<Real> s = splat(a[i * a_stride]);
#pragma GCC unroll 16
      for (int v = 0; v < n; ++v) acc[i][v] += s * b[v];
    }
  }

  template <int m, int n> void accumulate_bytes(int64_t j, const Real* a, int64_t a_stride, Vector<Real> (&acc)[m][n]) const {
    const int64_t depth = (K + 3) / 4, from = j * N * depth;
    for (int64_t k = 0; k < K / 4; ++k) add_bytes<m, n>((from + k * n) * W, a + 4 * k, a_stride, acc);
    if (K % 4) {
      Real rest[m][4] = {};
      for (int i = 0; i < m; ++i) std::memcpy(rest[i], a + i * a_stride + K / 4 * 4, K % 4 * sizeof(Real));
      add_bytes<m, n>((from + K / 4 * n) * W, rest[0], 4, acc);
    }
  }
  template <int m, int n> void add_bytes(int64_t at, const Real* a, int64_t a_stride, Vector<Real> (&acc)[m][n]) const {
#pragma GCC unroll 16
    for (int v = 0; v < n; ++v) {
      const vint lanes = load_lanes(at + v * W);
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        const vfloat b = unpacked(lanes, q);
#pragma GCC unroll 16
        for (int i = 0; i < m; ++i) acc[i][v] += a[i * a_stride + q] * b;
      }
    }
  }
};

}  // namespace LONGHOLD_ISA
}  // namespace longhold
