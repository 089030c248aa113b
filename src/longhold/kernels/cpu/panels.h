// A matrix packed once for products with few vectors: panels of rows, read in order from end to end.
#pragma once
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "engine.h"

namespace longhold {
inline namespace LONGHOLD_ISA {

template <class Real> inline int64_t padded(int64_t n) {
  constexpr int W = Lanes<Real>::count;
  return (n + W - 1) / W * W;
}

typedef int16_t vshort __attribute__((vector_size(LONGHOLD_BYTES)));

// In each 32-bit lane the sum of the products of the two 16-bit numbers in it.
inline vint pairs(vint x, vint y) {
#if LONGHOLD_BYTES == 64 && defined(__AVX512BW__)
  return (vint)_mm512_madd_epi16((__m512i)x, (__m512i)y);
#elif LONGHOLD_BYTES == 32 && defined(__AVX2__)
  return (vint)_mm256_madd_epi16((__m256i)x, (__m256i)y);
#elif LONGHOLD_BYTES == 16 && defined(__SSE2__)
  return (vint)_mm_madd_epi16((__m128i)x, (__m128i)y);
#else
  return ((x << 16) >> 16) * ((y << 16) >> 16) + (x >> 16) * (y >> 16);
#endif
}

// A vector as 16-bit integers times a unit, so small that no sum of K products with int8 leaves 32 bits: 15 bits
// and the sign up to K = 516, 12 up to 4,128. In the order that `pairs` takes: k with k + 2, k + 1 with k + 3.
template <class Real> inline Real quantize(const Real* a, int64_t K, int32_t* words) {
  Real largest = 0, poison = 0;
  for (int64_t k = 0; k < K; ++k) {
    largest = std::max(largest, std::abs(a[k]));
    poison += a[k] - a[k];
  }
  const Real bound = static_cast<Real>(std::clamp<int64_t>(INT32_MAX / (127 * K), 1, 32767));
  const Real inverse = poison == 0 && largest > 0 ? bound / largest : 0;
  const auto at = [&](int64_t k) {
    return k < K && poison == 0 ? static_cast<uint32_t>(static_cast<int32_t>(std::nearbyint(a[k] * inverse))) : 0u;
  };
  for (int64_t k = 0; k < K; k += 4) {
    *words++ = static_cast<int32_t>((at(k) & 0xffff) | at(k + 2) << 16);
    *words++ = static_cast<int32_t>((at(k + 1) & 0xffff) | at(k + 3) << 16);
  }
  return largest / bound + poison;
}

// A matrix (blocks * size, K) as it comes in: Real; bfloat16, the upper half of a float; or int8 with a scale per row.
template <class Real> struct Source {
  const Real* numbers = nullptr;
  const uint16_t* halves = nullptr;
  const int8_t* bytes = nullptr;
  const Real* scales = nullptr;

  int in_lane() const { return bytes ? 4 : halves ? 2 : 1; }
};

// Each block of rows is padded to whole vectors, so that gates begin at one. Layout [panel][k][row], or for 16 and 8
// bits [panel][k / 2][row] and [panel][k / 4][row] with two and four k in a lane, the first lowest. Rows of padding are
// zero.
template <class Real> class Panels {
  static constexpr int W = Lanes<Real>::count;
  static constexpr int N = LONGHOLD_BYTES == 64 ? 8 : 4;  // vectors in a panel
  static constexpr int M = registers / N;                 // vectors multiplied at once
  Buffer<Real> values;
  Buffer<int32_t> packed;
  Buffer<Real> scale;  // of int8
  int in_lane = 1;     // numbers

 public:
  int64_t K = 0, vectors = 0;
  explicit operator bool() const { return vectors > 0; }
  int64_t rows() const { return vectors * W; }

  Panels() = default;
  Panels(const Source<Real>& source, int64_t blocks, int64_t size, int64_t K)
      : in_lane(source.in_lane()), K(K), vectors(blocks * padded<Real>(size) / W) {
    const int64_t depth = lanes();
    if (in_lane > 1) {
      packed = allocate<int32_t>(rows() * depth);
      std::memset(packed.get(), 0, rows() * depth * sizeof(int32_t));
    } else {
      values = allocate<Real>(rows() * depth);
    }
    if (source.bytes) scale = allocate<Real>(rows());
    for (int64_t r = 0; r < rows(); ++r) {
      const int64_t block = r / padded<Real>(size), unit = r % padded<Real>(size), row = block * size + unit;
      const int64_t j = r / (N * W), step = count_at(j) * W, at = j * N * W * depth + r % (N * W);
      if (source.bytes) scale[r] = unit < size ? source.scales[row] : 0;
      if (in_lane == 1) {
        for (int64_t k = 0; k < K; ++k) values[at + k * step] = unit < size ? source.numbers[row * K + k] : 0;
      } else if (unit < size) {
        for (int64_t k = 0; k < K; ++k) {
          const uint32_t bits =
              source.bytes ? static_cast<uint8_t>(source.bytes[row * K + k]) : source.halves[row * K + k];
          packed[at + k / in_lane * step] |= static_cast<int32_t>(bits << (32 / in_lane * (k % in_lane)));
        }
      }
    }
  }

  Panels copy() const {
    Panels made;
    made.values = copy_of(values), made.packed = copy_of(packed), made.scale = copy_of(scale);
    made.in_lane = in_lane, made.K = K, made.vectors = vectors;
    return made;
  }

  // out[m] = bias + W a[m], rows of this thread; bias may be null.
  void multiply(int64_t rows, const Real* a, int64_t a_stride, const Real* bias, Real* out, int64_t out_stride, int me,
      int team) const {
    const int64_t panels = (vectors + N - 1) / N, from = panels * me / team, to = panels * (me + 1) / team;
    if (in_lane == 1) {
      for (int64_t j = from; j < to; ++j)
        panel<N>(j, rows, [&](int64_t m) { return a + m * a_stride; }, bias, out, out_stride);
    } else if constexpr (sizeof(Real) == 4) {
      if (in_lane == 2) {
        for (int64_t j = from; j < to; ++j)
          panel<N>(j, rows, [&](int64_t m) { return Halved{a + m * a_stride}; }, bias, out, out_stride);
        return;
      }
      const int64_t words = (K + 3) / 4 * 2;
      const Buffer<int32_t> quantized = allocate<int32_t>(rows * words);
      const Buffer<Real> unit = allocate<Real>(rows);
      for (int64_t m = 0; m < rows; ++m) unit[m] = quantize(a + m * a_stride, K, quantized.get() + m * words);
      for (int64_t j = from; j < to; ++j)
        panel<N>(
            j, rows, [&](int64_t m) { return Quantized{quantized.get() + m * words, unit[m]}; }, bias, out, out_stride);
    }
  }

  // out = bias + column k of W; bias may be null.
  void column(int64_t k, const Real* bias, Real* out) const {
    const int64_t depth = lanes();
    for (int64_t v = 0; v < vectors; ++v) {
      const int64_t j = v / N, at = (j * N * depth + k / in_lane * count_at(j) + v % N) * W;
      Vector<Real> found{};
      if (in_lane == 1) found = load(values.get() + at);
      else if constexpr (sizeof(Real) == 4) {
        if (in_lane == 2) found = half(load_lanes(at), k);
        else found = load(scale.get() + v * W) * byte(load_lanes(at), k);
      }
      store(out + v * W, bias ? found + load(bias + v * W) : found);
    }
  }

 private:
  int count_at(int64_t j) const { return static_cast<int>(std::min<int64_t>(N, vectors - j * N)); }
  int64_t lanes() const { return (K + in_lane - 1) / in_lane; }

  vint load_lanes(int64_t at) const {
    vint lanes;
    std::memcpy(&lanes, packed.get() + at, sizeof lanes);
    return lanes;
  }
  // The even or the odd one of two bfloat16 in each lane.
  static vfloat half(vint lanes, int64_t k) { return (vfloat)(k % 2 ? lanes & (vint{} - 65536) : lanes << 16); }

  // The int8 of column k, of the four in each lane.
  static vfloat byte(vint lanes, int64_t k) {
    return __builtin_convertvector((lanes << (24 - 8 * (k % 4))) >> 24, vfloat);
  }

  struct Halved {
    const Real* a;
  };

  struct Quantized {
    const int32_t* words;
    Real unit;
  };

  // `factor(m)` is the m-th vector: its numbers, or what they are quantized to.
  template <int n, class Factor> void panel(
      int64_t j, int64_t rows, Factor factor, const Real* bias, Real* out, int64_t out_stride) const {
    if constexpr (n > 1)
      if (count_at(j) < n) return panel<n - 1>(j, rows, factor, bias, out, out_stride);
    in_tiles<M, n>(j, 0, rows, factor, bias, out, out_stride);
  }
  template <int m, int n, class Factor> void in_tiles(
      int64_t j, int64_t row, int64_t rows, Factor factor, const Real* bias, Real* out, int64_t out_stride) const {
    if constexpr (m > 0) {
      for (; row + m <= rows; row += m) tile<m, n>(j, row, factor, bias, out + row * out_stride, out_stride);
      if (row < rows) in_tiles<m - 1, n>(j, row, rows, factor, bias, out, out_stride);
    }
  }

  template <int m, int n, class Factor> void tile(
      int64_t j, int64_t row, Factor factor, const Real* bias, Real* out, int64_t out_stride) const {
    decltype(factor(0)) a[m];
    for (int i = 0; i < m; ++i) a[i] = factor(row + i);
    Vector<Real> sums[m][n];
    product(j, a, sums);
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < n; ++v) {
        const int64_t at = (j * N + v) * W;
        store(out + i * out_stride + at, bias ? sums[i][v] + load(bias + at) : sums[i][v]);
      }
  }

  template <int m, int n> void product(int64_t j, const Real* const (&a)[m], Vector<Real> (&sums)[m][n]) const {
    constexpr int S = n == 1 ? 4 : n == 2 ? 2 : 1;  // sums kept apart, for an fma takes four cycles; the same for any m
    Vector<Real> acc[S][m][n] = {};
    const Real* w = values.get() + j * N * W * K;
    int64_t k = 0;
    for (; k + S <= K; k += S)
#pragma GCC unroll 4
      for (int s = 0; s < S; ++s) add(w + (k + s) * n * W, a, k + s, acc[s]);
    for (; k < K; ++k) add(w + k * n * W, a, k, acc[0]);
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < n; ++v) {
        sums[i][v] = acc[0][i][v];
#pragma GCC unroll 4
        for (int s = 1; s < S; ++s) sums[i][v] += acc[s][i][v];
      }
  }
  template <int m, int n> static void add(
      const Real* w, const Real* const (&a)[m], int64_t k, Vector<Real> (&acc)[m][n]) {
    Vector<Real> b[n];
#pragma GCC unroll 16
    for (int v = 0; v < n; ++v) b[v] = load(w + v * W);
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i) {
      const Vector<Real> s = splat(a[i][k]);
#pragma GCC unroll 16
      for (int v = 0; v < n; ++v) acc[i][v] += s * b[v];
    }
  }

  template <int m, int n> void product(int64_t j, const Halved (&a)[m], Vector<Real> (&sums)[m][n]) const {
    const int64_t depth = lanes(), from = j * N * depth;
    Vector<Real> even[m][n] = {}, odd[m][n] = {};
    for (int64_t k = 0; k < depth; ++k) {
      const bool pair = 2 * k + 1 < K;
#pragma GCC unroll 16
      for (int v = 0; v < n; ++v) {
        const vint two = load_lanes((from + k * n + v) * W);
#pragma GCC unroll 16
        for (int i = 0; i < m; ++i) {
          even[i][v] += splat(a[i].a[2 * k]) * half(two, 0);
          odd[i][v] += splat(pair ? a[i].a[2 * k + 1] : Real{}) * half(two, 1);
        }
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < n; ++v) sums[i][v] = even[i][v] + odd[i][v];
  }

  template <int m, int n> void product(int64_t j, const Quantized (&a)[m], Vector<Real> (&sums)[m][n]) const {
    const int64_t depth = lanes(), from = j * N * depth;
    vint acc[m][n] = {};
    for (int64_t k = 0; k < depth; ++k)
#pragma GCC unroll 16
      for (int v = 0; v < n; ++v) {
        const vint lanes = load_lanes((from + k * n + v) * W);
        const vint odd = (vint)((vshort)lanes >> 8), even = (vint)(((vshort)lanes << 8) >> 8);
#pragma GCC unroll 16
        for (int i = 0; i < m; ++i)
          acc[i][v] += pairs(even, vint{} + a[i].words[2 * k]) + pairs(odd, vint{} + a[i].words[2 * k + 1]);
      }
#pragma GCC unroll 16
    for (int i = 0; i < m; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < n; ++v)
        sums[i][v] = __builtin_convertvector(acc[i][v], vfloat) * (a[i].unit * load(scale.get() + (j * N + v) * W));
  }
};

}  // namespace LONGHOLD_ISA
}  // namespace longhold
