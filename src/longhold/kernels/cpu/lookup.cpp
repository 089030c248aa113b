#include "lookup.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "team.h"

namespace longhold {
inline namespace LONGHOLD_ISA {
namespace {

// The different ids of a call, numbered as they first appear, so that a table holds a row for each of these only.
struct Distinct {
  std::vector<int64_t> ids;
  std::vector<int32_t> slot;  // (count): which of them each id is

  Distinct(const int64_t* given, int64_t count, int64_t size) : slot(count) {
    // calloc: of a large array only the pages that are touched cost anything
    const std::unique_ptr<int32_t[], decltype(&std::free)> number(static_cast<int32_t*>(std::calloc(size, sizeof(int32_t))), &std::free);
    if (!number) throw std::bad_alloc();
    for (int64_t n = 0; n < count; ++n) {
      const int64_t id = given[n];
      if (id < 0 || id >= size) throw std::out_of_range("ids should be from 0 to " + std::to_string(size - 1) + ", got " + std::to_string(id));
      if (!number[id]) {
        ids.push_back(id);
        number[id] = static_cast<int32_t>(ids.size());
      }
      slot[n] = number[id] - 1;
    }
  }
  int64_t count() const { return static_cast<int64_t>(ids.size()); }
};

constexpr int64_t line = 16;          // columns of a table that are filled together: a cache line of floats
constexpr int64_t worth_a_thread = 1 << 15;  // numbers
constexpr int64_t run_length = 1024;  // rows summed before they join the total, which keeps float32 sums exact enough

inline int threads_for(int64_t numbers, int threads) { return static_cast<int>(std::clamp<int64_t>(numbers / worth_a_thread, 1, threads)); }

// Each member of the team takes columns, whole lines of them, so sums do not depend on the team's size.
struct Columns {
  int64_t from, to;
  Columns(int64_t width, int me, int team) {
    const int64_t lines = (width + line - 1) / line;
    from = std::min(width, lines * me / team * line);
    to = std::min(width, lines * (me + 1) / team * line);
  }
};

template <class Real> void gather(const Lookup<Real>& p, int threads) {
  const Distinct distinct(p.ids, p.count, p.size);
  const int64_t rows = distinct.count(), width = p.width;
  const std::unique_ptr<Real[]> table(new Real[rows * width]);
  in_team(threads_for(p.count * width, threads), [&](int me, int team) {
    const Columns mine(width, me, team);
    for (int64_t j = mine.from; j < mine.to; j += line) {
      const int64_t end = std::min(j + line, mine.to);
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t k = j; k < end; ++k) table[row * width + k] = p.weight[k * p.size + distinct.ids[row]] + (p.bias ? p.bias[k] : Real(0));
    }
    const size_t bytes = (mine.to - mine.from) * sizeof(Real);
    for (int64_t n = 0; n < p.count; ++n) std::memcpy(p.out + n * width + mine.from, &table[distinct.slot[n] * width + mine.from], bytes);
  });
}

template <class Real> void scatter(const LookupGradient<Real>& p, int threads) {
  const Distinct distinct(p.ids, p.count, p.size);
  const int64_t rows = distinct.count(), width = p.width;
  const int64_t run = std::max(run_length, 4 * rows);
  const bool runs = p.count > run;
  const std::unique_ptr<Real[]> total(new Real[rows * width]), part(runs ? new Real[rows * width] : nullptr);
  in_team(threads_for(p.count * width, threads), [&](int me, int team) {
    const Columns mine(width, me, team);
    const int64_t n_columns = mine.to - mine.from;
    auto clear = [&](Real* table) {
      for (int64_t row = 0; row < rows; ++row) std::fill_n(table + row * width + mine.from, n_columns, Real(0));
    };
    auto add = [&](Real* to, const Real* from) {
      for (int64_t k = 0; k < n_columns; ++k) to[k] += from[k];
    };
    clear(total.get());
    for (int64_t start = 0; start < p.count; start += run) {
      Real* const sums = runs ? part.get() : total.get();
      if (runs) clear(sums);
      for (int64_t n = start; n < std::min(p.count, start + run); ++n) add(sums + distinct.slot[n] * width + mine.from, p.d_out + n * width + mine.from);
      if (runs)
        for (int64_t row = 0; row < rows; ++row) add(&total[row * width + mine.from], sums + row * width + mine.from);
    }
    if (p.d_bias) {
      std::fill_n(p.d_bias + mine.from, n_columns, Real(0));
      for (int64_t row = 0; row < rows; ++row) add(p.d_bias + mine.from, &total[row * width + mine.from]);
    }
    std::memset(p.d_weight + mine.from * p.size, 0, n_columns * p.size * sizeof(Real));
    for (int64_t j = mine.from; j < mine.to; j += line) {
      const int64_t end = std::min(j + line, mine.to);
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t k = j; k < end; ++k) p.d_weight[k * p.size + distinct.ids[row]] = total[row * width + k];
    }
  });
}

}  // namespace
}  // namespace LONGHOLD_ISA

const LookupTable& LONGHOLD_TABLE(lookup)() {
  static const LookupTable table{gather<float>, gather<double>, scatter<float>, scatter<double>};
  return table;
}

}  // namespace longhold
