// One recurrence engine for all cells: the input's share, the loop over time, both passes, weight gradients. A cell supplies its pointwise part.
#pragma once
#include <numeric>
#include <vector>

#include "call.h"
#include "product.h"

namespace longhold {
inline namespace LONGHOLD_ISA {

// Where one row's step finds and leaves its numbers.
template <class Real> struct Row {
  const Real* operand;  // h before the step as the product sees it
  const Real* h_old;
  const Real* c_old;
  Real* gates;          // in, the input's share; out, if kept, the gates after their activations
  Real* extra;          // null if not kept
  Real* h;
  Real* c;
  Real* masked;         // h * mask for the next step, or null
  const Real* mask;
  bool keep;

  template <class V> void leave(int64_t at, V gate, int n) const {
    if (keep) store(gates + at, gate, n);
  }
};

// Whether the step at t starts anew, and from what.
enum class Before { step, given, initial };

template <class Cell, class Real> struct Engine {
  static constexpr int W = Lanes<Real>::count;
  static constexpr int G = Cell::gates;
  static constexpr int U = Cell::blocks;   // blocks of W units in one forward tile
  static constexpr int N = G * U;
  static constexpr int M = registers / N > 8 ? 8 : registers / N;
  static constexpr int64_t chunk_rows = 48;  // rows for which the input's share is computed at once
  using Gradient = WeightGradient<Real>;

  const Call<Real>& p;
  const int64_t H, width;                  // units, and gates of all units
  std::vector<int64_t> order;              // rows, the longest first
  Buffer<Real> zeros;                      // a row of a state that was not given

  explicit Engine(const Call<Real>& call) : p(call), H(call.H), width(G * call.H), order(call.B), zeros(allocate<Real>(call.H)) {
    std::iota(order.begin(), order.end(), 0);
    if (p.lengths) std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
    std::fill(zeros.get(), zeros.get() + H, Real(0));
  }

  int64_t length(int64_t b) const { return p.lengths ? std::clamp<int64_t>(p.lengths[b], 1, p.T) : p.T; }
  int64_t time(int64_t step) const { return p.reverse ? p.T - 1 - step : step; }

  Before before(int64_t t, int64_t b) const {
    const int64_t cut = p.reverse ? t + 1 : t;
    if (p.reset && cut < p.T && p.reset[cut * p.B + b]) return Before::initial;
    return t == (p.reverse ? length(b) - 1 : 0) ? Before::given : Before::step;
  }
  const Real* state_row(const Real* state, int64_t b) const { return state ? state + b * H : zeros.get(); }
  const Real* h_before(int64_t t, int64_t b) const {
    switch (before(t, b)) {
      case Before::given: return state_row(p.h0, b);
      case Before::initial: return state_row(p.h_initial, b);
      default: return p.h + ((p.reverse ? t + 1 : t - 1) * p.B + b) * H;
    }
  }

  // What one thread works on: its rows, the longest first, of which `units` are its own.
  struct Share {
    std::vector<int64_t> rows;
    Range blocks, units;
  };
  Share share(const Plan& plan, int64_t blocks, int64_t block_units, int me, int team) const {
    Share mine;
    if (!plan.by_rows) mine.rows = order;
    else if (p.lengths) for (int64_t i = me; i < p.B; i += team) mine.rows.push_back(order[i]);
    else {
      const Range range = cut(p.B, me, team);
      mine.rows.assign(order.begin() + range.begin, order.begin() + range.end);
    }
    mine.blocks = plan.by_rows ? Range{0, blocks} : cut(blocks, me, team);
    mine.units = {std::min(H, mine.blocks.begin * block_units), std::min(H, mine.blocks.end * block_units)};
    return mine;
  }
  int64_t active(const Share& mine, int64_t t) const {
    if (!p.lengths) return mine.rows.size();
    return std::partition_point(mine.rows.begin(), mine.rows.end(), [&](int64_t b) { return length(b) > t; }) - mine.rows.begin();
  }
  int64_t steps_at_once(const Share& mine) const {
    const int64_t rows = std::max<int64_t>(1, mine.rows.size());
    return std::clamp<int64_t>((chunk_rows + rows - 1) / rows, 1, p.T);
  }

  // Forward panels of a (G*H, K) weight: [super-block][k][block][gate][lane].
  int64_t forward_blocks() const { return (H + U * W - 1) / (U * W); }
  void pack_forward(const Real* weight, int64_t K, Range blocks, Real* out) const {
    for (int64_t j = blocks.begin; j < blocks.end; ++j)
      for (int u = 0; u < U; ++u)
        for (int g = 0; g < G; ++g) {
          const int64_t unit = (j * U + u) * W;
          transpose(weight + (g * H + unit) * K, valid_lanes(H, unit, W), K, K, out + (j * K * N + u * G + g) * W, N * W);
        }
  }
  // What every step adds before the loop: both biases, but not the one inside a cell's recurrent product.
  void pack_bias(Range blocks, Real* out) const {
    for (int64_t j = blocks.begin; j < blocks.end; ++j)
      for (int i = 0; i < N * W; ++i) {
        const int g = i / W % G;
        const int64_t unit = (j * U + i / W / G) * W + i % W;
        Real bias = 0;
        if (unit < H && p.bias_ih) bias += p.bias_ih[g * H + unit];
        if (unit < H && p.bias_hh && !Cell::starts_from_bias(g)) bias += p.bias_hh[g * H + unit];
        out[j * N * W + i] = bias;
      }
  }

  // The input's share of some rows' gates, for one super-block of units.
  template <int rows> void input_tile(const Real* const* x, Real* const* gates, int64_t j, const Real* panel, const Real* bias) const {
    Vector<Real> acc[rows][N];
#pragma GCC unroll 16
    for (int m = 0; m < rows; ++m)
#pragma GCC unroll 16
      for (int n = 0; n < N; ++n) acc[m][n] = load(bias + (j * N + n) * W);
    multiply<Real, rows, N>(x, panel + j * p.I * N * W, p.I, acc);
    for (int u = 0; u < U; ++u) {
      const int64_t unit = (j * U + u) * W;
      const int n = static_cast<int>(valid_lanes(H, unit, W));
      if (n == 0) break;
#pragma GCC unroll 16
      for (int m = 0; m < rows; ++m)
#pragma GCC unroll 16
        for (int g = 0; g < G; ++g) store(gates[m] + g * H + unit, acc[m][u * G + g], n);
    }
  }

  template <int rows> void forward_tile(const Row<Real>* row, int64_t j, const Real* panel) const {
    Vector<Real> acc[rows][N];
    const Real* operand[rows];
    const Real* inner = p.bias_hh ? p.bias_hh + (G - 1) * H : nullptr;
#pragma GCC unroll 16
    for (int m = 0; m < rows; ++m) {
      operand[m] = row[m].operand;
#pragma GCC unroll 16
      for (int u = 0; u < U; ++u) {
        const int64_t unit = (j * U + u) * W;
        const int n = static_cast<int>(valid_lanes(H, unit, W));
#pragma GCC unroll 16
        for (int g = 0; g < G; ++g) {
          if (Cell::starts_from_bias(g)) acc[m][u * G + g] = inner ? load(inner + unit, n) : Vector<Real>{};
          else acc[m][u * G + g] = load(row[m].gates + g * H + unit, n);
        }
      }
    }
    multiply<Real, rows, N>(operand, panel + j * H * N * W, H, acc);
    for (int u = 0; u < U; ++u) {
      const int64_t unit = (j * U + u) * W;
      const int n = static_cast<int>(valid_lanes(H, unit, W));
      if (n == 0) break;
      for (int m = 0; m < rows; ++m) {
        const Vector<Real> h = Cell::template forward<Real>(&acc[m][u * G], row[m], H, unit, n);
        store(row[m].h + unit, h, n);
        if (row[m].masked) store(row[m].masked + unit, h * load(row[m].mask + unit, n), n);
      }
    }
  }

  // What a pass over time needs besides the call: the cell state where it is not kept, h * mask.
  struct Scratch {
    Buffer<Real> gates, c, masked;
  };
  Real* masked_slab(const Scratch& scratch, int64_t slab, int64_t b) const { return scratch.masked.get() + (slab * p.B + b) * H; }

  Row<Real> row_at(int64_t t, int64_t b, int64_t step_in_chunk, const Scratch& scratch) const {
    const int64_t at = t * p.B + b, previous = p.reverse ? t + 1 : t - 1;
    const Before from = before(t, b);
    Row<Real> row{};
    row.h = p.h + at * H;
    row.h_old = from == Before::step ? p.h + (previous * p.B + b) * H : state_row(from == Before::given ? p.h0 : p.h_initial, b);
    row.operand = row.h_old;
    if (p.gates) row.gates = p.gates + at * width;
    else if (scratch.gates) row.gates = scratch.gates.get() + (step_in_chunk * p.B + b) * width;
    row.extra = p.extra ? p.extra + at * H : nullptr;
    row.keep = p.keep;
    if (Cell::has_c) {
      row.c = p.c ? p.c + at * H : scratch.c.get() + b * H;
      if (from != Before::step) row.c_old = state_row(from == Before::given ? p.c0 : p.c_initial, b);
      else row.c_old = p.c ? p.c + (previous * p.B + b) * H : row.c;
    }
    if (scratch.masked) {  // slabs: h of even and odd steps, h0, initial
      row.operand = masked_slab(scratch, from == Before::step ? previous & 1 : from == Before::given ? 2 : 3, b);
      row.masked = masked_slab(scratch, t & 1, b);
      row.mask = p.mask + b * H;
    }
    return row;
  }

  void forward(const Plan& plan) const {
    const int64_t blocks = forward_blocks();
    const Buffer<Real> panel = allocate<Real>(blocks * N * W * H);
    const Buffer<Real> input_panel = p.x ? allocate<Real>(blocks * N * W * p.I) : nullptr;
    const Buffer<Real> bias = p.x ? allocate<Real>(blocks * N * W) : nullptr;
    const Scratch scratch = forward_scratch(plan);
    Barrier barrier;
    in_team(plan.threads, [&](int me, int team) {
      const Range packing = cut(blocks, me, team);
      pack_forward(p.weight_hh, H, packing, panel.get());
      if (p.x) {
        pack_forward(p.weight_ih, p.I, packing, input_panel.get());
        pack_bias(packing, bias.get());
      }
      const Share mine = share(plan, blocks, U * W, me, team);
      for (int64_t b : mine.rows) zero_beyond_length(b, mine.units);
      barrier.wait(team);
      const int64_t chunk = steps_at_once(mine), most = mine.rows.size();
      std::vector<Row<Real>> rows(chunk * most);
      std::vector<const Real*> x(chunk * most);
      std::vector<Real*> gates(chunk * most);
      std::vector<int64_t> counts(chunk);
      for (int64_t s = 0; s < p.T; s += chunk) {
        const int64_t end = std::min(p.T, s + chunk);
        int64_t total = 0;
        for (int64_t i = s; i < end; ++i) {
          const int64_t t = time(i), count = counts[i - s] = active(mine, t);
          for (int64_t r = 0; r < count; ++r, ++total) {
            const int64_t b = mine.rows[r];
            rows[total] = row_at(t, b, i - s, scratch);
            gates[total] = rows[total].gates;
            if (p.x) x[total] = p.x + (t * p.B + b) * p.I;
          }
        }
        for (int64_t j = mine.blocks.begin; p.x && j < mine.blocks.end; ++j)
          in_tiles<M>(total, [&]<int n>(int64_t i) { input_tile<n>(&x[i], &gates[i], j, input_panel.get(), bias.get()); });
        const Row<Real>* row = rows.data();
        for (int64_t i = s; i < end; ++i) {
          for (int64_t j = mine.blocks.begin; j < mine.blocks.end; ++j)
            in_tiles<M>(counts[i - s], [&]<int n>(int64_t r) { forward_tile<n>(row + r, j, panel.get()); });
          row += counts[i - s];
          if (!plan.by_rows) barrier.wait(team);
        }
      }
      finish(mine, scratch);
    });
  }

  Scratch forward_scratch(const Plan& plan) const {
    Scratch scratch;
    if (!p.gates) {
      const int64_t rows = plan.by_rows ? std::max<int64_t>(1, p.B / plan.threads) : p.B;
      const int64_t chunk = std::min(p.T, (chunk_rows + rows - 1) / rows + 1);
      scratch.gates = allocate<Real>(chunk * p.B * width);
    }
    if (Cell::has_c && !p.c) scratch.c = allocate<Real>(p.B * H);
    if (!p.mask) return scratch;
    scratch.masked = allocate<Real>(4 * p.B * H);
    for (int64_t b = 0; b < p.B; ++b)
      for (int64_t i = 0; i < H; ++i) {
        masked_slab(scratch, 2, b)[i] = state_row(p.h0, b)[i] * p.mask[b * H + i];
        masked_slab(scratch, 3, b)[i] = state_row(p.h_initial, b)[i] * p.mask[b * H + i];
      }
    return scratch;
  }

  // The final states of a share.
  void finish(const Share& mine, const Scratch& scratch) const {
    const int64_t from = mine.units.begin, count = mine.units.end - from;
    for (int64_t b : mine.rows) {
      const int64_t last = ((p.reverse ? 0 : length(b) - 1) * p.B + b) * H;
      std::copy_n(p.h + last + from, count, p.h_n + b * H + from);
      if (Cell::has_c) std::copy_n((p.c ? p.c + last : scratch.c.get() + b * H) + from, count, p.c_n + b * H + from);
    }
  }

  void zero_beyond(Real* out, int64_t stride, int64_t b, Range part) const {
    for (int64_t t = length(b); t < p.T; ++t) std::fill(out + (t * p.B + b) * stride + part.begin, out + (t * p.B + b) * stride + part.end, Real(0));
  }

  void zero_beyond_length(int64_t b, Range units) const {
    zero_beyond(p.h, H, b, units);
    if (p.c) zero_beyond(p.c, H, b, units);
    if (p.extra) zero_beyond(p.extra, H, b, units);
    for (int g = 0; p.gates && g < G; ++g) zero_beyond(p.gates, width, b, {g * H + units.begin, g * H + units.end});
  }

  // d_h[b] (+)= d_gates_h[t, b] W_hh for one block of units; where a cell keeps extra, its last gate's share comes from there.
  template <int rows> void backward_tile(const Real* const* first, const Real* const* second, Real* const* d_h, const Real* const* mask, int64_t j, const Real* panel) const {
    Vector<Real> acc[rows][wide] = {};
    const Real* base = panel + j * width * columns<Real>;
    const int64_t K = Cell::has_extra ? (G - 1) * H : width;
    multiply<Real, rows, wide>(first, base, K, acc);
    if (Cell::has_extra) multiply<Real, rows, wide>(second, base + K * columns<Real>, H, acc);
    for (int m = 0; m < rows; ++m)
      for (int u = 0; u < wide; ++u) {
        const int64_t unit = (j * wide + u) * W;
        const int n = static_cast<int>(valid_lanes(H, unit, W));
        if (n == 0) break;
        Vector<Real> d = acc[m][u];
        if (mask[m]) d *= load(mask[m] + unit, n);
        if (Cell::keeps_h) d += load(d_h[m] + unit, n);
        store(d_h[m] + unit, d, n);
      }
  }

  template <int rows> void input_gradient_tile(const Real* const* d_gates, Real* const* d_x, int64_t j, const Real* panel) const {
    Vector<Real> acc[rows][wide] = {};
    multiply<Real, rows, wide>(d_gates, panel + j * width * columns<Real>, width, acc);
    for (int m = 0; m < rows; ++m)
      for (int u = 0; u < wide; ++u) {
        const int64_t at = (j * wide + u) * W;
        store(d_x[m] + at, acc[m][u], static_cast<int>(valid_lanes(p.I, at, W)));
      }
  }

  void backward(const Plan& plan, const Gradients<Real>& g) const {
    const int64_t blocks = column_blocks<Real>(H), input_blocks = column_blocks<Real>(p.I);
    const Buffer<Real> panel = allocate<Real>(blocks * columns<Real> * width);
    const Buffer<Real> input_panel = g.d_x ? allocate<Real>(input_blocks * columns<Real> * width) : nullptr;
    const std::vector<int64_t> valid = valid_steps();
    const int64_t operand_blocks = (g.d_weight_ih ? input_blocks : 0) + blocks;
    const Buffer<Real> operands = allocate<Real>(2 * operand_blocks * columns<Real> * Gradient::depth);
    Barrier barrier;
    in_team(plan.threads, [&](int me, int team) {
      pack_columns(p.weight_hh, width, H, cut(blocks, me, team), panel.get());
      if (g.d_x) pack_columns(p.weight_ih, width, p.I, cut(input_blocks, me, team), input_panel.get());
      const Share mine = share(plan, blocks, columns<Real>, me, team);
      begin_gradients(mine, g);
      barrier.wait(team);
      walk_back(plan, mine, g, panel.get(), input_panel.get(), plan.by_rows ? Range{0, input_blocks} : cut(input_blocks, me, team), barrier, team);
      barrier.wait(team);
      weight_gradients(g, valid, operand_blocks, operands.get(), barrier, me, team);
    });
  }

  // The gradients of the last states, and zeros where nothing will be written.
  void begin_gradients(const Share& mine, const Gradients<Real>& g) const {
    auto begin = [&](const Real* from, Real* to, int64_t b) {
      if (!to) return;
      if (from) std::copy(from + b * H + mine.units.begin, from + b * H + mine.units.end, to + b * H + mine.units.begin);
      else std::fill(to + b * H + mine.units.begin, to + b * H + mine.units.end, Real(0));
    };
    for (int64_t b : mine.rows) {
      begin(g.d_h_n, g.d_h0, b);
      begin(g.d_c_n, g.d_c0, b);
      begin(nullptr, g.d_h_initial, b);
      begin(nullptr, g.d_c_initial, b);
      if (mine.units.begin > 0) continue;
      if (g.d_x) zero_beyond(g.d_x, p.I, b, {0, p.I});
      if (!p.x) zero_beyond(g.d_gates, width, b, {0, width});
    }
  }

  void walk_back(const Plan& plan, const Share& mine, const Gradients<Real>& g, const Real* panel, const Real* input_panel, Range input_blocks, Barrier& barrier, int team) const {
    const int64_t from = mine.units.begin, to = mine.units.end, most = mine.rows.size(), chunk = steps_at_once(mine);
    const Scratch none;
    std::vector<const Real*> first(most), second(most), mask(most), d_gates;
    std::vector<Real*> d_h(most), d_x;
    for (int64_t s = p.T - 1; s >= 0; --s) {
      const int64_t t = time(s), count = active(mine, t);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t b = mine.rows[r], at = t * p.B + b;
        const Row<Real> row = row_at(t, b, 0, none);
        first[r] = g.d_gates + at * width;
        second[r] = g.d_extra ? g.d_extra + at * H : nullptr;
        mask[r] = p.mask ? p.mask + b * H : nullptr;
        d_h[r] = g.d_h0 + b * H;
        Real* d_c = Cell::has_c ? g.d_c0 + b * H : nullptr;
        for (int64_t unit = from; unit < to; unit += W) {
          const int n = static_cast<int>(std::min<int64_t>(to - unit, W));
          Vector<Real> d = load(d_h[r] + unit, n);
          if (g.d_out) d += load(g.d_out + at * H + unit, n);
          if (g.d_cs) store(d_c + unit, load(d_c + unit, n) + load(g.d_cs + at * H + unit, n), n);
          Cell::template backward<Real>(row, d, d_h[r], d_c, g.d_gates + at * width, g.d_extra ? g.d_extra + at * H : nullptr, H, unit, n);
        }
        if (g.d_x) {
          d_gates.push_back(g.d_gates + at * width);
          d_x.push_back(g.d_x + at * p.I);
        }
      }
      if (!plan.by_rows) barrier.wait(team);
      for (int64_t j = mine.blocks.begin; j < mine.blocks.end; ++j)
        in_tiles<tall>(count, [&]<int n>(int64_t i) { backward_tile<n>(&first[i], &second[i], &d_h[i], &mask[i], j, panel); });
      if (p.reset)
        for (int64_t r = 0; r < count; ++r)
          if (before(t, mine.rows[r]) == Before::initial) move_to_initial(g, mine.rows[r], from, to);
      if (g.d_x && (s == 0 || (p.T - s) % chunk == 0)) {
        for (int64_t j = input_blocks.begin; j < input_blocks.end; ++j)
          in_tiles<tall>(d_x.size(), [&]<int n>(int64_t i) { input_gradient_tile<n>(&d_gates[i], &d_x[i], j, input_panel); });
        d_gates.clear();
        d_x.clear();
      }
    }
  }

  static void move(Real* from, Real* to, int64_t count) {
    for (int64_t i = 0; i < count; ++i) to[i] += from[i], from[i] = 0;
  }
  void move_to_initial(const Gradients<Real>& g, int64_t b, int64_t from, int64_t to) const {
    move(g.d_h0 + b * H + from, g.d_h_initial + b * H + from, to - from);
    if (Cell::has_c) move(g.d_c0 + b * H + from, g.d_c_initial + b * H + from, to - from);
  }

  // t * B + b of every step that is no padding.
  std::vector<int64_t> valid_steps() const {
    std::vector<int64_t> found;
    found.reserve(p.T * p.B);
    for (int64_t t = 0; t < p.T; ++t)
      for (int64_t b = 0; b < p.B; ++b)
        if (t < length(b)) found.push_back(t * p.B + b);
    return found;
  }

  // One block of columns of what the products saw, x and then h, for some steps: [k][wide][lane].
  void pack_operands(const int64_t* at, int64_t K, int64_t block, int64_t input_blocks, Real* out) const {
    const bool is_x = block < input_blocks;
    const int64_t from = (is_x ? block : block - input_blocks) * columns<Real>;
    const int64_t n = std::min<int64_t>(columns<Real>, (is_x ? p.I : H) - from);
    for (int64_t k = 0; k < K; ++k, out += columns<Real>) {
      const int64_t t = at[k] / p.B, b = at[k] % p.B;
      const Real* row = is_x ? p.x + at[k] * p.I : h_before(t, b);
      std::copy_n(row + from, n, out);
      std::fill(out + n, out + columns<Real>, Real(0));
      if (!is_x && p.mask)
        for (int64_t i = 0; i < n; ++i) out[i] *= p.mask[b * H + from + i];
    }
  }

  // d_gates of some steps as the input saw them, or as h did: gates [m, m + count), [panel][k][tall].
  void pack_d_gates(const Gradients<Real>& g, const int64_t* at, int64_t K, int64_t m, int64_t count, bool of_h, Real* out) const {
    const int64_t inner = Cell::has_extra && of_h ? (G - 1) * H : width;  // from here on the other array
    for (int64_t k = 0; k < K; ++k) {
      const Real* from = g.d_gates + at[k] * width + m;
      const Real* other = g.d_extra ? g.d_extra + at[k] * H + m - inner : nullptr;
      for (int64_t i = 0; i < count; i += tall) {
        Real* to = out + (i * Gradient::depth + k * tall);
        for (int64_t n = 0; n < tall; ++n) to[n] = i + n >= count ? Real(0) : m + i + n < inner ? from[i + n] : other[i + n];
      }
    }
  }

  void weight_gradients(const Gradients<Real>& g, const std::vector<int64_t>& valid, int64_t operand_blocks, Real* operands, Barrier& barrier, int me, int team) const {
    const int64_t input_blocks = operand_blocks - column_blocks<Real>(H), total = valid.size();
    const Range tiles = cut((width + tall - 1) / tall, me, team), packing = cut(operand_blocks, me, team);
    const int64_t begin = tiles.begin * tall, end = std::min(width, tiles.end * tall);
    const int64_t panel_size = Gradient::depth * columns<Real>, group = Gradient::group * tall;
    const Buffer<Real> x_side = allocate<Real>(Gradient::depth * group), h_side = allocate<Real>(Gradient::depth * group);
    for (int64_t k = 0, round = 0; k < total; k += Gradient::depth, ++round) {
      const int64_t K = std::min(Gradient::depth, total - k);
      Real* shared = operands + (round & 1) * operand_blocks * panel_size;
      for (int64_t j = packing.begin; j < packing.end; ++j) pack_operands(&valid[k], K, j, input_blocks, shared + j * panel_size);
      barrier.wait(team);
      for (int64_t m = begin; m < end; m += group) {
        const int64_t count = std::min(group, end - m);
        const bool two = Cell::has_extra && m + count > (G - 1) * H;
        pack_d_gates(g, &valid[k], K, m, count, false, x_side.get());
        if (two) pack_d_gates(g, &valid[k], K, m, count, true, h_side.get());
        const Real* of_h = two ? h_side.get() : x_side.get();
        for (int64_t j = 0; j < operand_blocks; ++j) {
          const bool is_x = j < input_blocks;
          const int64_t column = (is_x ? j : j - input_blocks) * columns<Real>, stride = is_x ? p.I : H;
          Real* out = (is_x ? g.d_weight_ih : g.d_weight_hh) + m * stride + column;
          const Real* d = is_x ? x_side.get() : of_h;
          for (int64_t i = 0; i < count; i += tall)
            Gradient::tile(d + i * Gradient::depth, shared + j * panel_size, K, std::min<int64_t>(tall, count - i), out + i * stride, stride, stride - column, k == 0);
        }
        for (int64_t i = 0; i < count; i += tall) {
          add_bias(g.d_bias_ih, x_side.get() + i * Gradient::depth, K, m + i, std::min<int64_t>(tall, count - i), k == 0);
          add_bias(g.d_bias_hh, of_h + i * Gradient::depth, K, m + i, std::min<int64_t>(tall, count - i), k == 0);
        }
      }
    }
  }
  static void add_bias(Real* bias, const Real* d, int64_t K, int64_t m, int64_t count, bool first) {
    if (!bias) return;
    Real sum[tall] = {};
    for (int64_t k = 0; k < K; ++k)
      for (int i = 0; i < tall; ++i) sum[i] += d[k * tall + i];
    for (int64_t i = 0; i < count; ++i) bias[m + i] = first ? sum[i] : bias[m + i] + sum[i];
  }
};

}  // namespace LONGHOLD_ISA
}  // namespace longhold
