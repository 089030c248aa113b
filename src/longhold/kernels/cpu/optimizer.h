// What follows the backward pass: the norm of all gradients, then clipping and the update in one walk over the numbers.
#pragma once
#include <cstdint>
#include <vector>

#include "isa.h"

namespace longhold {

template <class Real> struct Leaf {
  int64_t count;
  Real* value;
  const Real* gradient;
  Real* first;          // SGD: the momentum buffer, or null; AdamW: the mean of gradients
  Real* second;         // AdamW: the mean of their squares
  const double* rates;  // SgdRates or AdamwRates
};

struct SgdRates {
  double lr, weight_decay, momentum;
};
struct AdamwRates {
  double lr, weight_decay, beta1, beta2, eps, step;
};  // step: from 1

template <class Real> struct Update {
  const std::vector<Leaf<Real>>& leaves;
  double scale;  // of every gradient: what clipping leaves of it
  int threads;
};

// Results do not depend on the number of threads.
struct OptimizerTable {
  double (*norm_float)(const Update<float>&);
  double (*norm_double)(const Update<double>&);
  void (*sgd_float)(const Update<float>&);
  void (*sgd_double)(const Update<double>&);
  void (*adamw_float)(const Update<float>&);
  void (*adamw_double)(const Update<double>&);
};
LONGHOLD_TABLES(OptimizerTable, optimizer)

}  // namespace longhold
