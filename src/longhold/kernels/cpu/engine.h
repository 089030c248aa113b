// One recurrence engine for all cells: packing, the loop over time, threads, both passes. A cell supplies its pointwise part.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "call.h"
#include "team.h"
#include "vector.h"

namespace longhold {
inline namespace LONGHOLD_ISA {

constexpr int registers = LONGHOLD_BYTES == 64 ? 24 : 12;  // accumulators that a tile may hold

template <class Real> struct FreeAligned { void operator()(Real* p) const { std::free(p); } };
template <class Real> using Buffer = std::unique_ptr<Real[], FreeAligned<Real>>;

template <class Real> Buffer<Real> allocate(size_t count) {
  const size_t bytes = (std::max<size_t>(count, 1) * sizeof(Real) + 63) / 64 * 64;
  void* p = std::aligned_alloc(64, bytes);
  if (!p) throw std::bad_alloc();
  return Buffer<Real>(static_cast<Real*>(p));
}

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

// Where one row's step finds and leaves its numbers.
template <class Real> struct Row {
  const Real* operand;  // h before the step as the product sees it
  const Real* h_old;
  const Real* c_old;
  Real* gates;
  Real* extra;
  Real* h;
  Real* c;
  Real* masked;        // h * mask for the next step, or null
  const Real* mask;
};

// The share of the units, and of the rows, that one thread works on.
struct Share {
  int64_t row_begin, row_end, block_begin, block_end;
};

inline Share share_of(int64_t rows, int64_t blocks, bool by_rows, int me, int team) {
  auto cut = [team](int64_t n, int i) { return n * i / team; };
  if (by_rows) return {cut(rows, me), cut(rows, me + 1), 0, blocks};
  return {0, rows, cut(blocks, me), cut(blocks, me + 1)};
}

template <class Real> inline int64_t length_of(const Call<Real>& p, int64_t b) {
  return p.lengths ? std::clamp<int64_t>(p.lengths[b], 1, p.T) : p.T;
}

template <class Real> inline bool is_active(const Call<Real>& p, int64_t t, int64_t b) { return t < length_of(p, b); }

// Whether the step at t starts anew, and from what.
enum class Before { step, given, initial };
template <class Real> inline Before before(const Call<Real>& p, int64_t t, int64_t b) {
  const int64_t cut = p.reverse ? t + 1 : t;
  const bool first = p.reverse ? t == length_of(p, b) - 1 : t == 0;
  if (p.reset && cut < p.T && p.reset[cut * p.B + b]) return Before::initial;
  return first ? Before::given : Before::step;
}

template <class Cell, class Real> struct Engine {
  static constexpr int W = Lanes<Real>::count;
  static constexpr int G = Cell::gates;
  static constexpr int U = Cell::blocks;   // blocks of W units in one forward tile
  static constexpr int N = G * U;
  static constexpr int M = registers / N > 8 ? 8 : registers / N;
  static constexpr int NB = 4;             // blocks of W units in one backward tile
  static constexpr int MB = registers / NB;

  const Call<Real>& p;
  const int64_t H, width;                  // units, and gates of all units
  explicit Engine(const Call<Real>& call) : p(call), H(call.H), width(G * call.H) {}

  // Forward panels: [super-block][k][block][gate][lane].
  int64_t forward_blocks() const { return (H + U * W - 1) / (U * W); }
  void pack_forward(int64_t from, int64_t to, Real* out) const {
    for (int64_t j = from; j < to; ++j)
      for (int u = 0; u < U; ++u)
        for (int g = 0; g < G; ++g)
          for (int lane = 0; lane < W; ++lane) {
            const int64_t unit = (j * U + u) * W + lane;
            Real* o = out + (j * H * N + u * G + g) * W + lane;
            const Real* w = p.weight + (g * H + unit) * H;
            if (unit < H) for (int64_t k = 0; k < H; ++k) o[k * N * W] = w[k];
            else for (int64_t k = 0; k < H; ++k) o[k * N * W] = 0;
          }
  }
  // Backward panels: [super-block][k over all gates][block][lane].
  int64_t backward_blocks() const { return (H + NB * W - 1) / (NB * W); }
  void pack_backward(int64_t from, int64_t to, Real* out) const {
    for (int64_t j = from; j < to; ++j)
      for (int64_t k = 0; k < width; ++k) {
        const int64_t unit = j * NB * W;
        const int64_t n = std::min<int64_t>(NB * W, H - unit);
        Real* o = out + (j * width + k) * NB * W;
        std::memcpy(o, p.weight + k * H + unit, n * sizeof(Real));
        std::fill(o + n, o + NB * W, Real(0));
      }
  }

  template <int rows> void forward_tile(const Row<Real>* row, int64_t j, const Real* panel) const {
    Vector<Real> acc[rows][N];
    const Real* operand[rows];
#pragma GCC unroll 16
    for (int m = 0; m < rows; ++m) {
      operand[m] = row[m].operand;
#pragma GCC unroll 16
      for (int u = 0; u < U; ++u) {
        const int64_t unit = (j * U + u) * W;
        const int n = static_cast<int>(std::clamp<int64_t>(H - unit, 0, W));
#pragma GCC unroll 16
        for (int g = 0; g < G; ++g) {
          const Real* from = Cell::starts_from_bias(g) ? p.bias + unit : row[m].gates + g * H + unit;
          acc[m][u * G + g] = n > 0 && !(Cell::starts_from_bias(g) && !p.bias) ? load(from, n) : Vector<Real>{};
        }
      }
    }
    multiply<Real, rows, N>(operand, panel + j * H * N * W, H, acc);
    for (int m = 0; m < rows; ++m)
      for (int u = 0; u < U; ++u) {
        const int64_t unit = (j * U + u) * W;
        const int n = static_cast<int>(std::clamp<int64_t>(H - unit, 0, W));
        if (n == 0) break;
        const Vector<Real> h = Cell::template forward<Real>(&acc[m][u * G], row[m], H, unit, n);
        store(row[m].h + unit, h, n);
        if (row[m].masked) store(row[m].masked + unit, h * load(row[m].mask + unit, n), n);
      }
  }

  template <int rows> void forward_rows(const Row<Real>* row, int64_t count, int64_t j, const Real* panel) const {
    if constexpr (rows > 0) {
      for (; count >= rows; count -= rows, row += rows) forward_tile<rows>(row, j, panel);
      if (count) forward_rows<rows - 1>(row, count, j, panel);
    }
  }

  Row<Real> row_at(int64_t t, int64_t b, Real* masked) const {
    const int64_t previous = p.reverse ? t + 1 : t - 1;
    const int64_t here = (t * p.B + b) * H, there = (previous * p.B + b) * H;
    const Before from = before(p, t, b);
    const Real* h = from == Before::step ? p.h + there : from == Before::given ? p.h0 + b * H : p.h_initial + b * H;
    const Real* c = !Cell::has_c ? nullptr : from == Before::step ? p.c + there : from == Before::given ? p.c0 + b * H : p.c_initial + b * H;
    Row<Real> row{h, h, c, p.gates + (t * p.B + b) * width, p.extra ? p.extra + here : nullptr, p.h + here, p.c ? p.c + here : nullptr, nullptr, nullptr};
    if (masked) {  // four slabs: h of even and odd steps, h0, initial, each times the mask
      const int64_t slab = p.B * H;
      row.operand = masked + b * H + (from == Before::step ? (previous & 1) * slab : from == Before::given ? 2 * slab : 3 * slab);
      row.masked = masked + b * H + (t & 1) * slab;
      row.mask = p.mask + b * H;
    }
    return row;
  }

  void forward(const Plan& plan) const {
    const int64_t blocks = forward_blocks();
    const Buffer<Real> panel = allocate<Real>(blocks * U * W * G * H);
    const Buffer<Real> masked = p.mask ? allocate<Real>(4 * p.B * H) : nullptr;
    if (p.mask)
      for (int64_t i = 0; i < p.B * H; ++i) {
        masked[2 * p.B * H + i] = p.h0[i] * p.mask[i];
        masked[3 * p.B * H + i] = p.h_initial[i] * p.mask[i];
      }
    Barrier barrier;
    in_team(plan.threads, [&](int me, int team) {
      const Share packing = share_of(0, blocks, false, me, team);
      pack_forward(packing.block_begin, packing.block_end, panel.get());
      barrier.wait(team);
      const Share mine = share_of(p.B, blocks, plan.by_rows, me, team);
      std::vector<Row<Real>> rows(mine.row_end - mine.row_begin);
      for (int64_t s = 0; s < p.T; ++s) {
        const int64_t t = p.reverse ? p.T - 1 - s : s;
        int64_t count = 0;
        for (int64_t b = mine.row_begin; b < mine.row_end; ++b) {
          if (is_active(p, t, b)) rows[count++] = row_at(t, b, masked.get());
          else zero_row(t, b, mine);
        }
        for (int64_t j = mine.block_begin; j < mine.block_end; ++j) forward_rows<M>(rows.data(), count, j, panel.get());
        if (!plan.by_rows) barrier.wait(team);
      }
    });
    for (int64_t b = 0; b < p.B; ++b) {
      const int64_t last = ((p.reverse ? 0 : length_of(p, b) - 1) * p.B + b) * H;
      std::memcpy(p.h_n + b * H, p.h + last, H * sizeof(Real));
      if (Cell::has_c) std::memcpy(p.c_n + b * H, p.c + last, H * sizeof(Real));
    }
  }

  void zero_row(int64_t t, int64_t b, const Share& mine) const {
    const int64_t from = std::min<int64_t>(H, mine.block_begin * U * W), to = std::min<int64_t>(H, mine.block_end * U * W);
    const size_t bytes = (to - from) * sizeof(Real);
    std::memset(p.h + (t * p.B + b) * H + from, 0, bytes);
    if (p.c) std::memset(p.c + (t * p.B + b) * H + from, 0, bytes);
    if (p.extra) std::memset(p.extra + (t * p.B + b) * H + from, 0, bytes);
    for (int g = 0; g < G; ++g) std::memset(p.gates + (t * p.B + b) * width + g * H + from, 0, bytes);
  }

  // d_h[b] (+)= d_gates_h[t, b] W_hh for the super-blocks of a share.
  template <int rows> void backward_tile(const Real* const* first, const Real* const* second, Real* const* d_h, const Real* const* mask, int64_t j, const Real* panel) const {
    Vector<Real> acc[rows][NB] = {};
    const Real* base = panel + j * width * NB * W;
    const int64_t K = Cell::has_extra ? (G - 1) * H : width;
    multiply<Real, rows, NB>(first, base, K, acc);
    if (Cell::has_extra) multiply<Real, rows, NB>(second, base + K * NB * W, H, acc);
    for (int m = 0; m < rows; ++m)
      for (int u = 0; u < NB; ++u) {
        const int64_t unit = (j * NB + u) * W;
        const int n = static_cast<int>(std::clamp<int64_t>(H - unit, 0, W));
        if (n == 0) break;
        Vector<Real> d = acc[m][u];
        if (mask[m]) d *= load(mask[m] + unit, n);
        if (Cell::keeps_h) d += load(d_h[m] + unit, n);
        store(d_h[m] + unit, d, n);
      }
  }

  template <int rows> void backward_rows(const Real* const* first, const Real* const* second, Real* const* d_h, const Real* const* mask, int64_t count, int64_t j, const Real* panel) const {
    if constexpr (rows > 0) {
      for (; count >= rows; count -= rows, first += rows, second += rows, d_h += rows, mask += rows) backward_tile<rows>(first, second, d_h, mask, j, panel);
      if (count) backward_rows<rows - 1>(first, second, d_h, mask, count, j, panel);
    }
  }

  void backward(const Plan& plan, const Gradients<Real>& g) const {
    const int64_t blocks = backward_blocks();
    const Buffer<Real> panel = allocate<Real>(blocks * NB * W * width);
    Barrier barrier;
    in_team(plan.threads, [&](int me, int team) {
      const Share packing = share_of(0, blocks, false, me, team);
      pack_backward(packing.block_begin, packing.block_end, panel.get());
      barrier.wait(team);
      const Share mine = share_of(p.B, blocks, plan.by_rows, me, team);
      const int64_t from = std::min<int64_t>(H, mine.block_begin * NB * W), to = std::min<int64_t>(H, mine.block_end * NB * W);
      const int64_t most = mine.row_end - mine.row_begin;
      std::vector<const Real*> first(most), second(most), mask(most);
      std::vector<Real*> d_h(most);
      for (int64_t s = p.T - 1; s >= 0; --s) {
        const int64_t t = p.reverse ? p.T - 1 - s : s;
        int64_t count = 0;
        for (int64_t b = mine.row_begin; b < mine.row_end; ++b) {
          const int64_t at = t * p.B + b;
          Real* d_gates = g.d_gates + at * width;
          Real* d_extra = g.d_extra ? g.d_extra + at * H : nullptr;
          if (!is_active(p, t, b)) {
            for (int k = 0; k < G; ++k) std::memset(d_gates + k * H + from, 0, (to - from) * sizeof(Real));
            if (d_extra) std::memset(d_extra + from, 0, (to - from) * sizeof(Real));
            continue;
          }
          const Row<Real> row = row_at(t, b, nullptr);
          Real* dh = g.d_h0 + b * H;
          Real* dc = Cell::has_c ? g.d_c0 + b * H : nullptr;
          const Real* d_out = g.d_out ? g.d_out + at * H : nullptr;
          const Real* d_cs = g.d_cs ? g.d_cs + at * H : nullptr;
          for (int64_t unit = from; unit < to; unit += W) {
            const int n = static_cast<int>(std::min<int64_t>(to - unit, W));
            Vector<Real> d = load(dh + unit, n);
            if (d_out) d += load(d_out + unit, n);
            if (d_cs) store(dc + unit, load(dc + unit, n) + load(d_cs + unit, n), n);
            Cell::template backward<Real>(row, d, dh, dc, d_gates, d_extra, H, unit, n);
          }
          first[count] = d_gates;
          second[count] = d_extra;
          mask[count] = p.mask ? p.mask + b * H : nullptr;
          d_h[count++] = dh;
        }
        if (!plan.by_rows) barrier.wait(team);
        for (int64_t j = mine.block_begin; j < mine.block_end; ++j)
          backward_rows<MB>(first.data(), second.data(), d_h.data(), mask.data(), count, j, panel.get());
        if (p.reset)
          for (int64_t b = mine.row_begin; b < mine.row_end; ++b)
            if (is_active(p, t, b) && before(p, t, b) == Before::initial) move_to_initial(g, b, from, to);
      }
    });
  }

  static void move(Real* from, Real* to, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] += from[i], from[i] = 0;
  }
  void move_to_initial(const Gradients<Real>& g, int64_t b, int64_t from, int64_t to) const {
    move(g.d_h0 + b * H + from, g.d_h_initial + b * H + from, to - from);
    if (Cell::has_c) move(g.d_c0 + b * H + from, g.d_c_initial + b * H + from, to - from);
  }
};

}  // namespace LONGHOLD_ISA
}  // namespace longhold
