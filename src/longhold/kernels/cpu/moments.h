// What layer norm takes from a row, within the numbers' range and beyond it.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>

namespace longhold {
inline namespace LONGHOLD_ISA {

template <class Real> struct Moments {
  Real mean, scale;  // scale is 1 / std
};

// The moments of x(0) ... x(n - 1) where a sum left the range of the type. As torch has it: a variance that is too
// large normalizes to 0, and all is NaN where torch loses it as it merges the moments of its vectors of 32 bytes, the
// first of which meets a count of 0. Zeros are x * 0, so that what is infinite is NaN.
template <class Real, class Numbers> Moments<Real> moments_beyond(Numbers x, int64_t n) {
  constexpr int64_t lanes = 32 / sizeof(Real);
  Real mean = 0, first = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) mean += x(i) / n;
  for (int64_t i = 0; i < n && n % lanes == 0; i += lanes) first += x(i) / (n / lanes);
  const Real merged = n < lanes ? mean : first;
  if (!std::isfinite(mean) || std::isinf(merged * merged)) return {mean, std::numeric_limits<Real>::quiet_NaN()};
  for (int64_t i = 0; i < n; ++i) squares += (x(i) - mean) * (x(i) - mean);
  const Real scale = 1 / std::sqrt(squares / n + static_cast<Real>(1e-5));
  return {scale == 0 ? 0 : mean, scale};
}
template <class Real, class Numbers> Moments<Real> moments_of(Real mean, Real variance, Numbers x, int64_t n) {
  if (!std::isfinite(variance + mean * mean)) return moments_beyond<Real>(x, n);
  return {mean, 1 / std::sqrt(variance + static_cast<Real>(1e-5))};
}

}  // namespace LONGHOLD_ISA
}  // namespace longhold
