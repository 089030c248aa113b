// One recurrence engine for all cells: the input projection, the loop over time, both passes, weight gradients. A cell
// supplies its pointwise part.
#pragma once
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "call.h"
#include "product.h"

namespace longhold {
inline namespace LONGHOLD_ISA {

// What one row's step reads and writes.
template <class Real> struct Row {
  const Real* operand;  // h before the step as the product sees it
  const Real* h_old;
  const Real* c_old;
  Real* gates;  // in, the input projection; out, if kept, the gates after their activations
  Real* q;      // null if not kept
  Real* h;
  Real* c;
  Real* h_out;   // h once more, or null
  Real* masked;  // h * mask for the next step, or null
  const Real* mask;
  bool keep;  // whether gates and q are left for the backward pass

  template <class V> void leave(int64_t at, V gate, int n) const {
    if (keep) store(gates + at, gate, n);
  }
};

// The state that a step starts from: the previous step's, the call's (h0, c0), or what a reset restores.
enum class Origin { previous, start, initial };

template <class Cell, class Real> struct Engine {
  static constexpr int W = Lanes<Real>::count;
  static constexpr int G = Cell::gates;
  static constexpr int U = Cell::blocks;  // blocks of W units in one forward tile
  static constexpr int N = G * U;
  static constexpr int M = registers / N > 8 ? 8 : registers / N;
  static constexpr int64_t chunk_rows = 48;  // rows whose input projection is computed at once
  using Gradient = WeightGradient<Real>;

  const Call<Real>& p;
  const int64_t H, width;      // units, and gates of all units
  std::vector<int64_t> order;  // rows, the longest first
  Buffer<Real> zeros;          // a row of a state that is not passed

  explicit Engine(const Call<Real>& call)
      : p(call), H(call.H), width(G * call.H), order(call.B), zeros(allocate<Real>(call.H)) {
    std::iota(order.begin(), order.end(), 0);
    if (p.lengths)
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
    std::fill(zeros.get(), zeros.get() + H, Real(0));
  }

  int64_t length(int64_t b) const { return p.lengths ? std::clamp<int64_t>(p.lengths[b], 0, p.T) : p.T; }
  int64_t time(int64_t step) const { return p.reverse ? p.T - 1 - step : step; }

  Origin origin(int64_t t, int64_t b) const {
    const int64_t cut = p.reverse ? t + 1 : t;
    if (p.reset && cut < p.T && p.reset[cut * p.B + b]) return Origin::initial;
    return t == (p.reverse ? length(b) - 1 : 0) ? Origin::start : Origin::previous;
  }
  const Real* state_row(const Real* state, int64_t b) const { return state ? state + b * H : zeros.get(); }
  const Real* h_before(int64_t t, int64_t b) const {
    switch (origin(t, b)) {
      case Origin::start: return state_row(p.h0, b);
      case Origin::initial: return state_row(p.h_initial, b);
      default: return p.h + ((p.reverse ? t + 1 : t - 1) * p.B + b) * H;
    }
  }

  // Some units of h before a step. Where an LSTM's h is not kept it is o * tanh(c), as it was.
  void copy_h_before(int64_t t, int64_t b, int64_t from, int64_t count, Real* out) const {
    if constexpr (Cell::has_c) {
      if (!p.h && origin(t, b) == Origin::previous) {
        const int64_t at = previous(t) * p.B + b;
        const Real *o = p.gates + at * width + (G - 1) * H + from, *c = p.c + at * H + from;
        for (int64_t i = 0; i < count; i += W) {
          const int n = static_cast<int>(std::min<int64_t>(count - i, W));
          store(out + i, Cell::template output<Real>(load(o + i, n), load(c + i, n)), n);
        }
        return;
      }
    }
    std::copy_n(h_before(t, b) + from, count, out);
  }

  // What one thread works on: its rows, the longest first, of which `units` are its own.
  struct Slice {
    std::vector<int64_t> rows;
    Range blocks, units;
  };
  Slice slice_of(const Plan& plan, int64_t blocks, int64_t block_units, int me, int team) const {
    Slice mine;
    if (!plan.by_rows) mine.rows = order;
    else if (p.lengths)
      for (int64_t i = me; i < p.B; i += team) mine.rows.push_back(order[i]);
    else {
      const Range range = cut(p.B, me, team);
      mine.rows.assign(order.begin() + range.begin, order.begin() + range.end);
    }
    mine.blocks = plan.by_rows ? Range{0, blocks} : cut(blocks, me, team);
    mine.units = {std::min(H, mine.blocks.begin * block_units), std::min(H, mine.blocks.end * block_units)};
    return mine;
  }
  int64_t active(const Slice& mine, int64_t t) const {
    if (!p.lengths) return mine.rows.size();
    return std::partition_point(mine.rows.begin(), mine.rows.end(), [&](int64_t b) { return length(b) > t; }) -
        mine.rows.begin();
  }
  int64_t steps_at_once(const Slice& mine) const {
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
          transpose(
              weight + (g * H + unit) * K, valid_lanes(H, unit, W), K, K, out + (j * K * N + u * G + g) * W, N * W);
        }
  }
  void pack_bias(Range blocks, Real* out) const {
    for (int64_t j = blocks.begin; j < blocks.end; ++j)
      for (int i = 0; i < N * W; ++i) {
        const int64_t unit = (j * U + i / W / G) * W + i % W;
        out[j * N * W + i] = unit < H ? bias(i / W % G * H + unit) : Real(0);
      }
  }

  // The input projection of some rows, for one super-block of units.
  template <int rows> void input_tile(
      const Real* const* x, Real* const* gates, int64_t j, const Real* panel, const Real* bias) const {
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
        if (row[m].h_out) store(row[m].h_out + unit, h, n);
        if (row[m].masked) store(row[m].masked + unit, h * load(row[m].mask + unit, n), n);
      }
    }
  }

  // A step of a row but for the places of gates, q and c, which depend on what is kept.
  Row<Real> row_at(int64_t t, int64_t b, Origin from) const {
    Row<Real> row{};
    if (p.h) {
      row.h = p.h + (t * p.B + b) * H;
      row.h_old = row.operand = h_before(t, b);
    }
    if (Cell::has_c && from != Origin::previous) row.c_old = state_row(from == Origin::start ? p.c0 : p.c_initial, b);
    return row;
  }
  int64_t previous(int64_t t) const { return p.reverse ? t + 1 : t - 1; }

  // What the forward pass needs besides the call: gates for some steps and a running c where they are not kept, and h *
  // mask.
  struct Scratch {
    Buffer<Real> gates, c, masked;
  };
  Real* masked_slab(const Scratch& scratch, int64_t slab, int64_t b) const {
    return scratch.masked.get() + (slab * p.B + b) * H;
  }

  Row<Real> forward_row(int64_t t, int64_t b, int64_t step_in_chunk, const Scratch& scratch) const {
    const int64_t at = t * p.B + b;
    const Origin from = origin(t, b);
    Row<Real> row = row_at(t, b, from);
    row.gates = p.gates ? p.gates + at * width : scratch.gates.get() + (step_in_chunk * p.B + b) * width;
    row.q = p.q ? p.q + at * H : nullptr;
    row.keep = p.gates;
    row.h_out = p.h_out ? p.h_out + at * H : nullptr;
    if (Cell::has_c) {
      row.c = scratch.c ? scratch.c.get() + b * H : p.c + at * H;
      if (from == Origin::previous) row.c_old = scratch.c ? row.c : p.c + (previous(t) * p.B + b) * H;
    }
    if (scratch.masked) {  // slabs: h of even and odd steps, h0, initial
      row.operand = masked_slab(scratch, from == Origin::previous ? previous(t) & 1 : from == Origin::start ? 2 : 3, b);
      row.masked = masked_slab(scratch, t & 1, b);
      row.mask = p.mask + b * H;
    }
    return row;
  }

  // The input projection: panels of W_ih and the bias; for ids a row for each id, where the table is not too large.
  struct Input {
    Buffer<Real> panel, bias, table;
  };
  bool tabled() const { return p.ids && p.I <= 4096; }
  Input allocate_input() const {
    Input input;
    if (p.x) input.panel = allocate<Real>(forward_blocks() * N * W * p.I);
    if (p.x) input.bias = allocate<Real>(forward_blocks() * N * W);
    if (tabled()) input.table = allocate<Real>(p.I * width);
    return input;
  }
  void pack_input(const Input& input, int me, int team) const {
    const Range blocks = cut(forward_blocks(), me, team);
    if (p.x) pack_forward(p.weight_ih, p.I, blocks, input.panel.get());
    if (p.x) pack_bias(blocks, input.bias.get());
    const Range columns = cut(width, me, team);
    if (input.table)
      for (int64_t i = columns.begin; i < columns.end; ++i)
        for (int64_t id = 0; id < p.I; ++id) input.table[id * width + i] = p.weight_ih[i * p.I + id] + bias(i);
  }
  // What every step adds before the loop: both biases, but not the one inside a cell's recurrent product.
  Real bias(int64_t i) const {
    const bool inner = Cell::starts_from_bias(static_cast<int>(i / H));
    return (p.bias_ih ? p.bias_ih[i] : Real(0)) + (p.bias_hh && !inner ? p.bias_hh[i] : Real(0));
  }
  // Writes the input projection of some rows, for a thread's units. `at` is t * B + b of each.
  void add_input(const Input& input, const std::vector<int64_t>& at, const std::vector<Row<Real>>& rows, int64_t count,
      Range blocks, std::vector<const Real*>& x, std::vector<Real*>& gates) const {
    for (int64_t i = 0; i < count; ++i) {
      gates[i] = rows[i].gates;
      if (p.x) x[i] = p.x + at[i] * p.I;
      else look_up(input, p.ids[at[i]], {std::min(H, blocks.begin * U * W), std::min(H, blocks.end * U * W)}, gates[i]);
    }
    for (int64_t j = blocks.begin; p.x && j < blocks.end; ++j)
      in_tiles<M>(
          count, [&]<int n>(int64_t i) { input_tile<n>(&x[i], &gates[i], j, input.panel.get(), input.bias.get()); });
  }
  void look_up(const Input& input, int64_t id, Range units, Real* gates) const {
    for (int64_t g = 0; g < G; ++g)
      for (int64_t i = g * H + units.begin; i < g * H + units.end; ++i)
        gates[i] = input.table ? input.table[id * width + i] : p.weight_ih[i * p.I + id] + bias(i);
  }

  void forward(const Plan& plan) const {
    check_ids();
    const int64_t blocks = forward_blocks();
    const Buffer<Real> panel = allocate<Real>(blocks * N * W * H);
    const Input input = allocate_input();
    const Scratch scratch = forward_scratch(plan);
    Barrier barrier;
    in_team(plan.threads, [&](int me, int team) {
      pack_forward(p.weight_hh, H, cut(blocks, me, team), panel.get());
      pack_input(input, me, team);
      const Slice mine = slice_of(plan, blocks, U * W, me, team);
      for (int64_t b : mine.rows) zero_beyond_length(b, mine.units);
      barrier.wait(team);
      const int64_t chunk = steps_at_once(mine), most = mine.rows.size();
      std::vector<Row<Real>> rows(chunk * most);
      std::vector<const Real*> x(chunk * most);
      std::vector<Real*> gates(chunk * most);
      std::vector<int64_t> counts(chunk), at(chunk * most);
      for (int64_t s = 0; s < p.T; s += chunk) {
        const int64_t end = std::min(p.T, s + chunk);
        int64_t total = 0;
        for (int64_t i = s; i < end; ++i) {
          const int64_t t = time(i), count = counts[i - s] = active(mine, t);
          for (int64_t r = 0; r < count; ++r, ++total) {
            rows[total] = forward_row(t, mine.rows[r], i - s, scratch);
            at[total] = t * p.B + mine.rows[r];
          }
        }
        add_input(input, at, rows, total, mine.blocks, x, gates);
        const Row<Real>* row = rows.data();
        for (int64_t i = s; i < end; ++i) {
          if (Cell::has_c && p.checkpoint_interval > 1 && i % p.checkpoint_interval == 0) checkpoint(mine, i, scratch);
          for (int64_t j = mine.blocks.begin; j < mine.blocks.end; ++j)
            in_tiles<M>(counts[i - s], [&]<int n>(int64_t r) { forward_tile<n>(row + r, j, panel.get()); });
          row += counts[i - s];
          if (!plan.by_rows) barrier.wait(team);
        }
      }
      finish(mine, scratch);
    });
    if (!plan.by_rows) contention.note(barrier, p.T);
  }

  void check_ids() const {
    for (int64_t at = 0; p.ids && at < p.T * p.B; ++at)
      if (at / p.B < length(at % p.B) && (p.ids[at] < 0 || p.ids[at] >= p.I))
        throw std::out_of_range(
            "ids should be from 0 to " + std::to_string(p.I - 1) + ", got " + std::to_string(p.ids[at]));
  }

  Scratch forward_scratch(const Plan& plan) const {
    Scratch scratch;
    if (!p.gates) {
      const int64_t rows = plan.by_rows ? std::max<int64_t>(1, p.B / plan.threads) : p.B;
      const int64_t chunk = std::min(p.T, (chunk_rows + rows - 1) / rows + 1);
      scratch.gates = allocate<Real>(chunk * p.B * width);
    }
    if (Cell::has_c && p.checkpoint_interval != 1) scratch.c = allocate<Real>(p.B * H);
    if (!p.mask) return scratch;
    scratch.masked = allocate<Real>(4 * p.B * H);
    for (int64_t b = 0; b < p.B; ++b) {
      apply_mask(state_row(p.h0, b), b, masked_slab(scratch, 2, b));
      apply_mask(state_row(p.h_initial, b), b, masked_slab(scratch, 3, b));
    }
    return scratch;
  }
  void apply_mask(const Real* h, int64_t b, Real* out) const {
    for (int64_t i = 0; i < H; ++i) out[i] = h[i] * p.mask[b * H + i];
  }

  // Keeps the cell state before a step.
  void checkpoint(const Slice& mine, int64_t step, const Scratch& scratch) const {
    Real* to = p.c + step / p.checkpoint_interval * p.B * H;
    for (int64_t b : mine.rows)
      if (step == 0 || length(b) == 0)
        std::fill(to + b * H + mine.units.begin, to + b * H + mine.units.end,
            Real(0));  // a backward pass reads the call's own state there
      else
        std::copy(
            &scratch.c[b * H + mine.units.begin], &scratch.c[b * H + mine.units.end], to + b * H + mine.units.begin);
  }

  // The final states of a slice; a row without a step ends as it began.
  void finish(const Slice& mine, const Scratch& scratch) const {
    const int64_t from = mine.units.begin, count = mine.units.end - from;
    for (int64_t b : mine.rows) {
      const bool none = length(b) == 0;
      const int64_t last = none ? 0 : ((p.reverse ? 0 : length(b) - 1) * p.B + b) * H;
      std::copy_n((none ? state_row(p.h0, b) : p.h + last) + from, count, p.h_n + b * H + from);
      if (Cell::has_c) {
        const Real* const kept = scratch.c ? scratch.c.get() + b * H : p.c + last;
        std::copy_n((none ? state_row(p.c0, b) : kept) + from, count, p.c_n + b * H + from);
      }
    }
  }

  void zero_beyond(Real* out, int64_t stride, int64_t b, Range part) const {
    for (int64_t t = length(b); t < p.T; ++t)
      std::fill(out + (t * p.B + b) * stride + part.begin, out + (t * p.B + b) * stride + part.end, Real(0));
  }

  void zero_beyond_length(int64_t b, Range units) const {
    zero_beyond(p.h, H, b, units);
    if (p.h_out) zero_beyond(p.h_out, H, b, units);
    if (p.c && p.checkpoint_interval == 1) zero_beyond(p.c, H, b, units);
    if (p.q) zero_beyond(p.q, H, b, units);
    for (int g = 0; p.gates && g < G; ++g) zero_beyond(p.gates, width, b, {g * H + units.begin, g * H + units.end});
  }

  // d_h[b] (+)= d_gates_h[t, b] W_hh for one block of units; where a cell keeps q, that of its last gate comes from
  // d_q.
  template <int rows> void backward_tile(const Real* const* d_gates_rows, const Real* const* d_q_rows, Real* const* d_h,
      const Real* const* mask, int64_t j, const Real* panel) const {
    Vector<Real> acc[rows][wide] = {};
    const Real* base = panel + j * width * columns<Real>;
    const int64_t K = Cell::has_q ? (G - 1) * H : width;
    multiply<Real, rows, wide>(d_gates_rows, base, K, acc);
    if (Cell::has_q) multiply<Real, rows, wide>(d_q_rows, base + K * columns<Real>, H, acc);
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

  template <int rows> void input_gradient_tile(
      const Real* const* d_gates, Real* const* d_x, int64_t j, const Real* panel) const {
    Vector<Real> acc[rows][wide] = {};
    multiply<Real, rows, wide>(d_gates, panel + j * width * columns<Real>, width, acc);
    for (int m = 0; m < rows; ++m)
      for (int u = 0; u < wide; ++u) {
        const int64_t at = (j * wide + u) * W;
        store(d_x[m] + at, acc[m][u], static_cast<int>(valid_lanes(p.I, at, W)));
      }
  }

  // What the backward pass works with: gradients of the gates of one segment, and what is computed again of a chunk.
  struct Back {
    Buffer<Real> panel, input_panel, forward_panel, d_gates, d_q, c, operands, d_table;
    Input input;
    int64_t chunk;  // steps that d_gates, d_q and c hold
    bool again;     // gates, q and c are computed again, in the places of their gradients
  };
  Back allocate_back(const Gradients<Real>& g) const {
    Back back;
    back.again = p.checkpoint_interval > 1 && (Cell::has_c || Cell::has_q);
    back.chunk = std::min(p.T, back.again ? p.checkpoint_interval : p.segment);
    back.panel = allocate<Real>(column_blocks<Real>(H) * columns<Real> * width);
    if (g.d_x) back.input_panel = allocate<Real>(column_blocks<Real>(p.I) * columns<Real> * width);
    back.d_gates = allocate<Real>(back.chunk * p.B * width);
    if (Cell::has_q) back.d_q = allocate<Real>(back.chunk * p.B * H);
    back.operands = allocate<Real>(2 * operand_blocks() * columns<Real> * Gradient::depth);
    if (tabled()) back.d_table = allocate<Real>(p.I * width);
    if (!back.again) return back;
    back.forward_panel = allocate<Real>(forward_blocks() * N * W * H);
    back.input = allocate_input();
    if (Cell::has_c) back.c = allocate<Real>(back.chunk * p.B * H);
    return back;
  }
  int64_t input_blocks() const { return p.x ? column_blocks<Real>(p.I) : 0; }
  int64_t operand_blocks() const { return input_blocks() + column_blocks<Real>(H); }

  void backward(const Plan& plan, const Gradients<Real>& g) const {
    const int64_t blocks = column_blocks<Real>(H), x_blocks = column_blocks<Real>(p.I);
    const Back back = allocate_back(g);
    Barrier barrier;
    in_team(plan.threads, [&](int me, int team) {
      pack_columns(p.weight_hh, width, H, cut(blocks, me, team), back.panel.get());
      if (g.d_x) pack_columns(p.weight_ih, width, p.I, cut(x_blocks, me, team), back.input_panel.get());
      if (back.again) pack_forward(p.weight_hh, H, cut(forward_blocks(), me, team), back.forward_panel.get());
      if (back.again) pack_input(back.input, me, team);
      const Slice mine = slice_of(plan, blocks, columns<Real>, me, team);
      const Range tiles = cut((width + tall - 1) / tall, me, team),
                  gates{tiles.begin * tall, std::min(width, tiles.end * tall)};
      begin_gradients(mine, g);
      begin_table(back, g, gates);
      barrier.wait(team);
      std::vector<int64_t> valid;
      int64_t rounds = 0;
      for (int64_t end = p.T; end > 0;) {
        const int64_t begin = (end - 1) / p.segment * p.segment;
        if (back.again && end > begin && (end == p.T || end % p.checkpoint_interval == 0))
          compute_again(mine, begin / p.checkpoint_interval * p.checkpoint_interval, end, back);
        walk_back(plan, mine, g, back, begin, end, plan.by_rows ? Range{0, x_blocks} : cut(x_blocks, me, team), barrier,
            team);
        barrier.wait(team);
        valid_steps(begin, end, valid);
        weight_gradients(g, back, valid, gates, rounds, barrier, me, team);
        barrier.wait(team);
        end = begin;
      }
      if (rounds == 0) zero_weight_gradients(g, gates);
      if (back.d_table) empty_table(g, back, gates);
    });
    if (!plan.by_rows) contention.note(barrier, p.T);
  }

  // The gradients of the last states, and zeros where nothing will be written.
  void begin_gradients(const Slice& mine, const Gradients<Real>& g) const {
    auto begin = [&](const Real* from, Real* to, int64_t b) {
      if (!to) return;
      if (from)
        std::copy(from + b * H + mine.units.begin, from + b * H + mine.units.end, to + b * H + mine.units.begin);
      else std::fill(to + b * H + mine.units.begin, to + b * H + mine.units.end, Real(0));
    };
    for (int64_t b : mine.rows) {
      begin(g.d_h_n, g.d_h0, b);
      begin(g.d_c_n, g.d_c0, b);
      begin(nullptr, g.d_h_initial, b);
      begin(nullptr, g.d_c_initial, b);
      if (g.d_x && mine.units.begin == 0) zero_beyond(g.d_x, p.I, b, {0, p.I});
    }
  }
  // Where no row has a step, no round has set them.
  void zero_weight_gradients(const Gradients<Real>& g, Range gates) const {
    auto zero = [gates](Real* of, int64_t columns) {
      if (of) std::fill(of + gates.begin * columns, of + gates.end * columns, Real(0));
    };
    zero(g.d_weight_ih, p.I), zero(g.d_weight_hh, H), zero(g.d_bias_ih, 1), zero(g.d_bias_hh, 1);
  }
  void begin_table(const Back& back, const Gradients<Real>& g, Range gates) const {
    if (!p.ids) return;
    std::fill(g.d_weight_ih + gates.begin * p.I, g.d_weight_ih + gates.end * p.I, Real(0));
    for (int64_t id = 0; back.d_table && id < p.I; ++id)
      std::fill(&back.d_table[id * width] + gates.begin, &back.d_table[id * width] + gates.end, Real(0));
  }

  // Gates, q and c of the steps [begin, end), from the states h, which are all there, and the c kept at `begin`.
  void compute_again(const Slice& mine, int64_t begin, int64_t end, const Back& back) const {
    const Range blocks{mine.units.begin / (U * W), (mine.units.end + U * W - 1) / (U * W)};
    if (mine.units.begin == mine.units.end) return;
    const int64_t most = mine.rows.size();
    const Buffer<Real> masked = p.mask ? allocate<Real>(most * H) : nullptr, unused = allocate<Real>(H);
    std::vector<Row<Real>> rows(most);
    std::vector<const Real*> x(most);
    std::vector<Real*> gates(most);
    std::vector<int64_t> at(most);
    for (int64_t s = begin; s < end; ++s) {
      const int64_t t = time(s), count = active(mine, t);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t b = mine.rows[r], place = (s - begin) * p.B + b;
        const Origin from = origin(t, b);
        rows[r] = row_at(t, b, from);
        rows[r].gates = &back.d_gates[place * width];
        rows[r].q = Cell::has_q ? &back.d_q[place * H] : nullptr;
        rows[r].h = unused.get();
        rows[r].keep = true;
        at[r] = t * p.B + b;
        if (Cell::has_c) {
          rows[r].c = &back.c[place * H];
          if (from == Origin::previous)
            rows[r].c_old = s == begin ? p.c + (s / p.checkpoint_interval * p.B + b) * H : rows[r].c - p.B * H;
        }
        if (p.mask) {
          apply_mask(rows[r].h_old, b, &masked[r * H]);
          rows[r].operand = &masked[r * H];
        }
      }
      add_input(back.input, at, rows, count, blocks, x, gates);
      for (int64_t j = blocks.begin; j < blocks.end; ++j)
        in_tiles<M>(count, [&]<int n>(int64_t r) { forward_tile<n>(&rows[r], j, back.forward_panel.get()); });
    }
  }

  // A step as the backward pass reads it: gates, q and c as they were kept, or computed again.
  Row<Real> backward_row(int64_t s, int64_t t, int64_t b, const Back& back) const {
    const int64_t at = t * p.B + b, place = (s % back.chunk) * p.B + b;
    const Origin from = origin(t, b);
    Row<Real> row = row_at(t, b, from);
    row.gates = back.again ? &back.d_gates[place * width] : p.gates ? p.gates + at * width : nullptr;
    row.q = back.again && Cell::has_q ? &back.d_q[place * H] : p.q ? p.q + at * H : nullptr;
    if (!Cell::has_c) return row;
    row.c = back.again ? &back.c[place * H] : p.c + at * H;
    if (from != Origin::previous) return row;
    if (!back.again) row.c_old = p.c + (previous(t) * p.B + b) * H;
    else row.c_old = s % p.checkpoint_interval == 0 ? p.c + (s / p.checkpoint_interval * p.B + b) * H : row.c - p.B * H;
    return row;
  }
  Real* d_gates_at(const Back& back, int64_t s, int64_t b) const {
    return &back.d_gates[((s % back.chunk) * p.B + b) * width];
  }
  Real* d_q_at(const Back& back, int64_t s, int64_t b) const {
    return Cell::has_q ? &back.d_q[((s % back.chunk) * p.B + b) * H] : nullptr;
  }

  void walk_back(const Plan& plan, const Slice& mine, const Gradients<Real>& g, const Back& back, int64_t begin,
      int64_t end, Range x_blocks, Barrier& barrier, int team) const {
    const int64_t from = mine.units.begin, to = mine.units.end, most = mine.rows.size(), chunk = steps_at_once(mine);
    std::vector<const Real*> d_gates_rows(most), d_q_rows(most), mask(most), d_gates;
    std::vector<Real*> d_h(most), d_x;
    for (int64_t s = end - 1; s >= begin; --s) {
      const int64_t t = time(s), count = active(mine, t);
      for (int64_t r = 0; r < count; ++r) {
        const int64_t b = mine.rows[r], at = t * p.B + b;
        const Row<Real> row = backward_row(s, t, b, back);
        Real* to_gates = d_gates_at(back, s, b);
        Real* to_q = d_q_at(back, s, b);
        Real* d_c = Cell::has_c ? g.d_c0 + b * H : nullptr;
        d_gates_rows[r] = to_gates;
        d_q_rows[r] = to_q;
        mask[r] = p.mask ? p.mask + b * H : nullptr;
        d_h[r] = g.d_h0 + b * H;
        for (int64_t unit = from; unit < to; unit += W) {
          const int n = static_cast<int>(std::min<int64_t>(to - unit, W));
          Vector<Real> d = load(d_h[r] + unit, n);
          if (g.d_out) d += load(g.d_out + at * H + unit, n);
          if (g.d_cs) store(d_c + unit, load(d_c + unit, n) + load(g.d_cs + at * H + unit, n), n);
          Cell::template backward<Real>(row, d, d_h[r], d_c, to_gates, to_q, H, unit, n);
        }
        if (g.d_x) {
          d_gates.push_back(to_gates);
          d_x.push_back(g.d_x + at * p.I);
        }
      }
      if (!plan.by_rows) barrier.wait(team);
      for (int64_t j = mine.blocks.begin; j < mine.blocks.end; ++j)
        in_tiles<tall>(count, [&]<int n>(int64_t i) {
          backward_tile<n>(&d_gates_rows[i], &d_q_rows[i], &d_h[i], &mask[i], j, back.panel.get());
        });
      if (p.reset)
        for (int64_t r = 0; r < count; ++r)
          if (origin(t, mine.rows[r]) == Origin::initial) move_to_initial(g, mine.rows[r], from, to);
      if (g.d_x && (s == begin || (end - s) % chunk == 0)) {
        for (int64_t j = x_blocks.begin; j < x_blocks.end; ++j)
          in_tiles<tall>(d_x.size(),
              [&]<int n>(int64_t i) { input_gradient_tile<n>(&d_gates[i], &d_x[i], j, back.input_panel.get()); });
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

  // s * B + b of the steps [begin, end) that are no padding.
  void valid_steps(int64_t begin, int64_t end, std::vector<int64_t>& steps) const {
    steps.clear();
    for (int64_t s = begin; s < end; ++s)
      for (int64_t b = 0; b < p.B; ++b)
        if (time(s) < length(b)) steps.push_back(s * p.B + b);
  }

  // One block of columns of what the products saw, x and then h, for some steps: [k][wide][lane].
  void pack_operands(const int64_t* at, int64_t K, int64_t block, Real* out) const {
    const bool is_x = block < input_blocks();
    const int64_t from = (is_x ? block : block - input_blocks()) * columns<Real>;
    const int64_t n = std::min<int64_t>(columns<Real>, (is_x ? p.I : H) - from);
    for (int64_t k = 0; k < K; ++k, out += columns<Real>) {
      const int64_t t = time(at[k] / p.B), b = at[k] % p.B;
      if (is_x) std::copy_n(p.x + (t * p.B + b) * p.I + from, n, out);
      else copy_h_before(t, b, from, n, out);
      std::fill(out + n, out + columns<Real>, Real(0));
      if (!is_x && p.mask)
        for (int64_t i = 0; i < n; ++i) out[i] *= p.mask[b * H + from + i];
    }
  }

  // d_gates of some steps as the input saw them, or as h did: gates [m, m + count), [panel][k][tall].
  void pack_d_gates(
      const Back& back, const int64_t* at, int64_t K, int64_t m, int64_t count, bool of_h, Real* out) const {
    const int64_t inner = Cell::has_q && of_h ? (G - 1) * H : width;  // from here on the other array
    for (int64_t k = 0; k < K; ++k) {
      const int64_t s = at[k] / p.B, b = at[k] % p.B;
      const Real* from = d_gates_at(back, s, b) + m;
      const Real* other = Cell::has_q ? d_q_at(back, s, b) + m - inner : nullptr;
      for (int64_t i = 0; i < count; i += tall) {
        Real* to = out + (i * Gradient::depth + k * tall);
        for (int64_t n = 0; n < tall; ++n)
          to[n] = i + n >= count ? Real(0) : m + i + n < inner ? from[i + n] : other[i + n];
      }
    }
  }

  // Adds (first: sets) what some steps give to the weights' gradients, for the gates [gates.begin, gates.end).
  void weight_gradients(const Gradients<Real>& g, const Back& back, const std::vector<int64_t>& valid, Range gates,
      int64_t& rounds, Barrier& barrier, int me, int team) const {
    const int64_t all = operand_blocks(), total = valid.size();
    const Range packing = cut(all, me, team);
    const int64_t panel_size = Gradient::depth * columns<Real>, group = Gradient::group * tall;
    const Buffer<Real> x_side = allocate<Real>(Gradient::depth * group),
                       h_side = allocate<Real>(Gradient::depth * group);
    for (int64_t k = 0; k < total; k += Gradient::depth, ++rounds) {
      const int64_t K = std::min(Gradient::depth, total - k);
      const bool sets = rounds == 0;
      Real* shared = back.operands.get() + (rounds & 1) * all * panel_size;
      for (int64_t j = packing.begin; j < packing.end; ++j) pack_operands(&valid[k], K, j, shared + j * panel_size);
      barrier.wait(team);
      for (int64_t m = gates.begin; m < gates.end; m += group) {
        const int64_t count = std::min(group, gates.end - m);
        const bool two = Cell::has_q && m + count > (G - 1) * H;
        pack_d_gates(back, &valid[k], K, m, count, false, x_side.get());
        if (two) pack_d_gates(back, &valid[k], K, m, count, true, h_side.get());
        const Real* of_h = two ? h_side.get() : x_side.get();
        for (int64_t j = 0; j < all; ++j) {
          const bool is_x = j < input_blocks();
          const int64_t column = (is_x ? j : j - input_blocks()) * columns<Real>, stride = is_x ? p.I : H;
          Real* out = (is_x ? g.d_weight_ih : g.d_weight_hh) + m * stride + column;
          const Real* d = is_x ? x_side.get() : of_h;
          for (int64_t i = 0; i < count; i += tall)
            Gradient::tile(d + i * Gradient::depth, shared + j * panel_size, K, std::min<int64_t>(tall, count - i),
                out + i * stride, stride, stride - column, sets);
        }
        for (int64_t i = 0; i < count; i += tall) {
          add_bias(g.d_bias_ih, x_side.get() + i * Gradient::depth, K, m + i, std::min<int64_t>(tall, count - i), sets);
          add_bias(g.d_bias_hh, of_h + i * Gradient::depth, K, m + i, std::min<int64_t>(tall, count - i), sets);
        }
      }
      if (p.ids) add_to_table(g, back, &valid[k], K, gates);
    }
  }
  void add_to_table(const Gradients<Real>& g, const Back& back, const int64_t* at, int64_t K, Range gates) const {
    for (int64_t k = 0; k < K; ++k) {
      const int64_t s = at[k] / p.B, b = at[k] % p.B, id = p.ids[time(s) * p.B + b];
      const Real* d = d_gates_at(back, s, b);
      if (back.d_table)
        for (int64_t i = gates.begin; i < gates.end; ++i) back.d_table[id * width + i] += d[i];
      else
        for (int64_t i = gates.begin; i < gates.end; ++i) g.d_weight_ih[i * p.I + id] += d[i];
    }
    if (back.d_table && p.I <= K) empty_table(g, back, gates);
  }
  // Moves the table's sums to the gradient, so that sums of few terms are summed.
  void empty_table(const Gradients<Real>& g, const Back& back, Range gates) const {
    for (int64_t i = gates.begin; i < gates.end; ++i)
      for (int64_t id = 0; id < p.I; ++id) {
        g.d_weight_ih[i * p.I + id] += back.d_table[id * width + i];
        back.d_table[id * width + i] = 0;
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
