// Softmax and cross-entropy over a block of logits, in place.
#pragma once
#include <cstdint>

#include "isa.h"

namespace longhold {

template <class Real> struct LogitBlock {
  int64_t rows, size;      // rows of the block, and logits in each (V)
  const int64_t* targets;  // (rows)
  int64_t ignored;         // the target of rows that are left out
  Real* logits;  // (rows, size): in; with `scale` out, scale * (softmax - one-hot), zero where the row is left out
  double* nats;  // (rows): -ln softmax[target], zero where the row is left out
  Real scale;    // 0: the logits stay
};

// Throws std::out_of_range for a target that is none.
struct LossTable {
  void (*block_float)(const LogitBlock<float>&, int threads);
  void (*block_double)(const LogitBlock<double>&, int threads);
};
LONGHOLD_TABLES(LossTable, loss)

}  // namespace longhold
