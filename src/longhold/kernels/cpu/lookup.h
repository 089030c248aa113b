// Token ids instead of one-hot vectors: rows of the transposed input weights, and their gradients.
#pragma once
#include <cstdint>

#include "isa.h"

namespace longhold {

template <class Real> struct Lookup {
  int64_t count, size, width;  // ids, how many there could be (I), and numbers for each (G*H)
  const int64_t* ids;          // (count)
  const Real* weight;          // (width, size)
  const Real* bias;            // (width), or null
  Real* out;                   // (count, width)
};

template <class Real> struct LookupGradient {
  int64_t count, size, width;
  const int64_t* ids;
  const Real* d_out;           // (count, width)
  Real* d_weight;              // (width, size)
  Real* d_bias;                // (width), or null
};

// Both throw std::out_of_range for an id that is none.
struct LookupTable {
  void (*gather_float)(const Lookup<float>&, int threads);
  void (*gather_double)(const Lookup<double>&, int threads);
  void (*scatter_float)(const LookupGradient<float>&, int threads);
  void (*scatter_double)(const LookupGradient<double>&, int threads);
};
LONGHOLD_TABLES(LookupTable, lookup)

}  // namespace longhold
