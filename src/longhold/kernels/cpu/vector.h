// Vectors by GCC's extension: one source for every width. LONGHOLD_BYTES is the width that this translation unit is
// compiled for.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#ifndef LONGHOLD_BYTES
#error "LONGHOLD_BYTES: bytes in a vector"
#endif

#if LONGHOLD_BYTES == 64
#include <immintrin.h>
#endif

namespace longhold {
inline namespace LONGHOLD_ISA {

template <class Real> struct Lanes {
  static constexpr int count = LONGHOLD_BYTES / sizeof(Real);
  typedef Real vector __attribute__((vector_size(LONGHOLD_BYTES)));
  typedef Real unaligned __attribute__((vector_size(LONGHOLD_BYTES), aligned(sizeof(Real)), may_alias));
};
template <class Real> using Vector = typename Lanes<Real>::vector;

template <class Real> inline Vector<Real> load(const Real* p) {
  return *reinterpret_cast<const typename Lanes<Real>::unaligned*>(p);
}
template <class Real> inline void store(Real* p, Vector<Real> v) {
  *reinterpret_cast<typename Lanes<Real>::unaligned*>(p) = v;
}
template <class Real> inline Vector<Real> splat(Real x) { return x - Vector<Real>{}; }

// The first n lanes; the others are zero, and are not touched in memory.
#if LONGHOLD_BYTES == 64
inline Vector<float> load(const float* p, int n) { return (Vector<float>)_mm512_maskz_loadu_ps((1u << n) - 1, p); }
inline Vector<double> load(const double* p, int n) { return (Vector<double>)_mm512_maskz_loadu_pd((1u << n) - 1, p); }
inline void store(float* p, Vector<float> v, int n) { _mm512_mask_storeu_ps(p, (1u << n) - 1, (__m512)v); }
inline void store(double* p, Vector<double> v, int n) { _mm512_mask_storeu_pd(p, (1u << n) - 1, (__m512d)v); }
#else
template <class Real> inline Vector<Real> load(const Real* p, int n) {
  if (n == Lanes<Real>::count) return load(p);
  Vector<Real> v{};
  if (n > 0) std::memcpy(&v, p, n * sizeof(Real));
  return v;
}
template <class Real> inline void store(Real* p, Vector<Real> v, int n) {
  if (n == Lanes<Real>::count) store(p, v);
  else std::memcpy(p, &v, n * sizeof(Real));
}
#endif

template <class V> inline V min(V a, V b) { return a < b ? a : b; }
template <class V> inline V max(V a, V b) { return a > b ? a : b; }

typedef Lanes<float>::vector vfloat;
typedef Lanes<double>::vector vdouble;
typedef int32_t vint __attribute__((vector_size(LONGHOLD_BYTES)));

// e^x: x = n ln 2 + r with |r| <= ln 2 / 2, a polynomial of degree 6 in r, and 2^n by its bits, of which half is taken,
// so that what is too large becomes infinite; what is below 2^-126 becomes 0. A gate far from 0 is then 0 or 1, and its
// gradient 0, as torch has it: what is almost 0 would show again next to a number of 1e38. NaN stays NaN.
inline vfloat exp(vfloat x) {
  const vfloat bounded = min(max(x, splat(-87.3f)), splat(89.0f));
  const vfloat n = (bounded * 1.44269504088896341f + 12582912.0f) - 12582912.0f;
  const vfloat r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  vfloat p = splat(1.3981999507e-3f) + r * 1.9875691500e-4f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const vfloat y = p * (r * r) + r + 1.0f;
  const vint bits = (__builtin_convertvector(n, vint) + 126) << 23;
  vfloat power;
  std::memcpy(&power, &bits, sizeof power);
  return x == x ? (y + y) * power : x;
}
inline vfloat sigmoid(vfloat x) { return 1.0f / (1.0f + exp(-x)); }
inline vfloat tanh(vfloat x) {
  const vfloat a = x < 0.0f ? -x : x;
  const vfloat tail = 1.0f - 2.0f / (exp(a + a) + 1.0f);
  const vfloat s = x * x;
  vfloat p = splat(2.06390887954e-2f) - s * 5.70498872745e-3f;
  p = p * s - 5.37397155531e-2f;
  p = p * s + 1.33314422036e-1f;
  p = p * s - 3.33332819422e-1f;
  return a < 0.625f ? x + x * s * p : (x < 0.0f ? -tail : tail);
}

template <class F> inline vdouble map_lanes(vdouble x, F f) {
  for (int i = 0; i < Lanes<double>::count; ++i) x[i] = f(x[i]);
  return x;
}
inline vdouble exp(vdouble x) {
  return map_lanes(x, [](double v) { return std::exp(v); });
}
inline vdouble sigmoid(vdouble x) {
  return map_lanes(x, [](double v) { return 1.0 / (1.0 + std::exp(-v)); });
}
inline vdouble tanh(vdouble x) {
  return map_lanes(x, [](double v) { return std::tanh(v); });
}

}  // namespace LONGHOLD_ISA
}  // namespace longhold
