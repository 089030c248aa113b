// What each instruction set offers: both passes of every cell, for float and double.
#pragma once
#include "call.h"
#include "isa.h"

namespace longhold {

enum CellKind { rnn_tanh, rnn_relu, gru, lstm, cell_kinds };

struct Passes {
  void (*forward[2])(const void* call, const Plan& plan);
  void (*backward[2])(const void* call, const void* gradients, const Plan& plan);
  int lanes;  // floats in a vector
};

struct Backend {
  Passes cells[cell_kinds];
};
LONGHOLD_TABLES(Backend, backend)

}  // namespace longhold
