// The engine for cells with options, for one instruction set. A step is a product of all rows into memory, then a
// function of one row at a time that may look at all of its units, then for some cells both once more.
#include "extended.h"

#include <memory>
#include <vector>

#include "extended_cells.h"
#include "rowwise.h"
#include "team.h"

namespace longhold {
inline namespace LONGHOLD_ISA {
namespace options {

// Rows times a matrix, packed by blocks of N * W columns: [block][k][column].
template <class Real> class Product {
  static constexpr int W = Lanes<Real>::count, N = 4, M = registers / N;
  int64_t K = 0, columns = 0;
  Buffer<Real> panel;

  template <int rows> void tile(const Real* const* in, Real* const* out, int64_t j) const {
    Vector<Real> acc[rows][N] = {};
    multiply<Real, rows, N>(in, panel.get() + j * K * N * W, K, acc);
    for (int m = 0; m < rows; ++m)
      for (int n = 0; n < N; ++n) {
        const int64_t column = (j * N + n) * W;
        if (column < columns)
          store(out[m] + column, acc[m][n], static_cast<int>(std::min<int64_t>(columns - column, W)));
      }
  }
  template <int rows> void tile_of(int64_t count, const Real* const* in, Real* const* out, int64_t j) const {
    if (count == rows) tile<rows>(in, out, j);
    else if constexpr (rows > 1) tile_of<rows - 1>(count, in, out, j);
  }

 public:
  Product() = default;
  Product(int64_t K, int64_t columns) : K(K), columns(columns), panel(allocate<Real>(blocks() * N * W * K)) {}

  int64_t blocks() const { return (columns + N * W - 1) / (N * W); }

  // The coefficient of column n at k stands at weight[n * by_column + k * by_k]; one of the two strides is 1.
  void pack(const Real* weight, int64_t by_column, int64_t by_k, int64_t from, int64_t to) {
    for (int64_t j = from; j < to; ++j) {
      Real* const out = panel.get() + j * K * N * W;
      const int64_t first = j * N * W, count = std::min<int64_t>(columns - first, N * W);
      if (count < N * W) fill<Real>(out, K * N * W, 0);
      if (by_column == 1)
        for (int64_t k = 0; k < K; ++k) std::copy_n(weight + first + k * by_k, count, out + k * N * W);
      else
        for (int64_t n = 0; n < count; ++n)
          for (int64_t k = 0; k < K; ++k) out[k * N * W + n] = weight[(first + n) * by_column + k * by_k];
    }
  }
  // out[row] = in[row] times the matrix, for some blocks of columns. Rows are distributed evenly over tiles.
  void run(const std::vector<const Real*>& in, const std::vector<Real*>& out, int64_t from, int64_t to) const {
    const int64_t rows = in.size(), tiles = (rows + M - 1) / M;
    for (int64_t j = from; j < to; ++j)
      for (int64_t i = 0; i < tiles; ++i) {
        const int64_t first = rows * i / tiles;
        tile_of<M>(rows * (i + 1) / tiles - first, in.data() + first, out.data() + first, j);
      }
  }
};

struct Span {
  int64_t begin, end;
};
inline Span part_of(int64_t n, int me, int team) { return {n * me / team, n * (me + 1) / team}; }

// Lists of rows for a product, refilled at every step.
template <class Real> struct Operands {
  std::vector<const Real*> in;
  std::vector<Real*> out;

  void clear() { in.clear(), out.clear(); }
  void take(const Real* from, Real* to) { in.push_back(from), out.push_back(to); }
};

// One thread's part. By rows it does all that its rows need and never waits; by units it does a part of the columns of
// every product, for all rows, and its own rows' functions, and waits after each.
struct Worker {
  int me, team;
  bool by_rows;
  Barrier& barrier;
  Span own, multiplied;  // rows

  Worker(const Plan& plan, int64_t B, int me, int team, Barrier& barrier)
      : me(me), team(team), by_rows(plan.by_rows), barrier(barrier), own(part_of(B, me, team)),
        multiplied(by_rows ? own : Span{0, B}) {}

  void wait() const {
    if (!by_rows) barrier.wait(team);
  }
  template <class Real> void run(const Product<Real>& product, const Operands<Real>& rows) const {
    wait();
    const Span blocks = by_rows ? Span{0, product.blocks()} : part_of(product.blocks(), me, team);
    product.run(rows.in, rows.out, blocks.begin, blocks.end);
    wait();
  }
  template <class Real> void pack(Product<Real>& product, const Real* weight, int64_t by_column, int64_t by_k) const {
    const Span blocks = part_of(product.blocks(), me, team);
    product.pack(weight, by_column, by_k, blocks.begin, blocks.end);
  }
};

template <class Cell, class Real> class Walk {
  static constexpr int G = Cell::gates;
  using Rows = Operands<Real>;
  using Gradients = ExtendedGradients<Real>;
  enum class Origin { previous, start, initial };

  const ExtendedCall<Real>& p;
  const int64_t B, H, P, width;
  // Scratch, a row for each row of the batch.
  Buffer<Real> masked, products, h_new, cells, operand2, d_u, back, old_h, old_c, scratch;

  bool zones_h() const { return p.keep_h || p.rate_h != 0; }
  bool zones_c() const { return p.keep_c || p.rate_c != 0; }
  bool two_products() const { return Cell::reset_before || p.weight_hr; }
  Buffer<Real> rows_of(bool needed, int64_t size) const { return needed ? allocate<Real>(B * size) : nullptr; }

  int64_t length(int64_t b) const { return p.lengths ? std::clamp<int64_t>(p.lengths[b], 0, p.T) : p.T; }
  bool active(int64_t t, int64_t b) const { return t < length(b); }
  int64_t time(int64_t step) const { return p.reverse ? p.T - 1 - step : step; }
  Origin origin(int64_t t, int64_t b) const {
    const int64_t cut = p.reverse ? t + 1 : t;
    if (p.reset && cut < p.T && p.reset[cut * B + b]) return Origin::initial;
    return t == (p.reverse ? length(b) - 1 : 0) ? Origin::start : Origin::previous;
  }
  const Real* state_before(
      int64_t t, int64_t b, const Real* stack, const Real* start, const Real* initial, int64_t size) const {
    switch (origin(t, b)) {
      case Origin::initial: return initial + b * size;
      case Origin::start: return start + b * size;
      default: return stack + ((p.reverse ? t + 1 : t - 1) * B + b) * size;
    }
  }
  Zone<Real> zone_at(const uint8_t* keep, Real rate, int64_t at, int64_t size) const {
    return {keep ? keep + at * size : nullptr, rate};
  }

  Step<Real> step(int64_t t, int64_t b) const {
    const int64_t at = t * B + b;
    auto own = [&](const Buffer<Real>& rows, int64_t size) { return rows ? rows.get() + b * size : nullptr; };
    Step<Real> s{};
    s.h_old = state_before(t, b, p.h, p.h0, p.h_initial, P);
    s.operand = masked ? masked.get() + b * P : s.h_old;
    if (Cell::has_c) s.c_old = state_before(t, b, p.c, p.c0, p.c_initial, H);
    s.product = own(products, width);
    s.gates = p.gates + at * width;
    s.q = p.q ? p.q + at * H : nullptr;
    s.operand2 = own(operand2, H);
    s.h_new = p.weight_hr ? s.operand2 : zones_h() ? own(h_new, P) : p.h + at * P;
    s.cell = !Cell::has_c ? nullptr : zones_c() ? own(cells, H) : p.c + at * H;
    return s;
  }
  void drop(const Step<Real>& s, int64_t b) const {
    if (!masked) return;
    Real* const to = masked.get() + b * P;
    for_each_vector<Real>(
        P, [&](int64_t at, auto n) { store(to + at, load(s.h_old + at, n) * load(p.mask + b * P + at, n), n); });
  }

  // Layer norm and gain of some groups of a row's recurrent product, in place.
  void normalize_groups(int64_t at, Real* product, int from, int to) const {
    if (!p.gain_h) return;
    for (int g = from; g < to; ++g) {
      const int64_t first = Cell::group_ends[g] * H, n = (Cell::group_ends[g + 1] - Cell::group_ends[g]) * H;
      Real* const x = product + first;
      Real* const y = p.norm ? p.norm + at * width + first : x;
      const Real scale = normalize(x, y, n);
      if (p.scale) p.scale[at * Cell::groups + g] = scale;
      for_each_vector<Real>(
          n, [&](int64_t i, auto k) { store(x + i, load(y + i, k) * load(p.gain_h + first + i, k), k); });
    }
  }
  // The gradient of some groups of a row's recurrent product from that of the gates, and the sums of the latter.
  void leave_groups(int64_t at, const Gradients& g, int from, int to, Sums<Real>& sums) const {
    Real* const d_product = g.d_product + at * width;
    const Real* const d_gates_h = Cell::splits_candidate ? d_product : g.d_gates + at * width;
    for (int i = from; i < to; ++i) {
      const int64_t first = Cell::group_ends[i] * H, n = (Cell::group_ends[i + 1] - Cell::group_ends[i]) * H;
      const Real* const d = d_gates_h + first;
      if (sums.bias) for_each_vector<Real>(n, [&](int64_t j, auto k) { add(sums.bias + first, load(d + j, k), j, k); });
      if (!p.gain_h) continue;
      const Real* const y = p.norm + at * width + first;
      if (sums.gain_h)
        for_each_vector<Real>(
            n, [&](int64_t j, auto k) { add(sums.gain_h + first, load(d + j, k) * load(y + j, k), j, k); });
      normalize_backward(d, p.gain_h + first, y, p.scale[at * Cell::groups + i], d_product + first, n);
    }
  }

  void zero(int64_t t, int64_t b) const {
    const int64_t at = t * B + b;
    auto clear = [at](Real* rows, int64_t size) {
      if (rows) fill<Real>(rows + at * size, size, 0);
    };
    clear(p.h, P), clear(p.c, H), clear(p.gates, width), clear(p.q, H), clear(p.norm, width),
        clear(p.scale, Cell::groups);
  }
  void end_forward(int64_t t, int64_t b, const Step<Real>& s) const {
    const int64_t at = t * B + b;
    if (zones_h())
      zone_at(p.keep_h, p.rate_h, at, P).forward(s.h_old, p.weight_hr ? h_new.get() + b * P : s.h_new, p.h + at * P, P);
    if (zones_c()) zone_at(p.keep_c, p.rate_c, at, H).forward(s.c_old, s.cell, p.c + at * H, H);
  }

 public:
  explicit Walk(const ExtendedCall<Real>& call) : p(call), B(call.B), H(call.H), P(call.P), width(G * call.H) {}

  void forward(const Plan& plan) {
    masked = rows_of(p.mask, P), products = rows_of(true, width), operand2 = rows_of(two_products(), H);
    h_new = rows_of(zones_h(), P), cells = rows_of(zones_c(), H);
    const int64_t early = Cell::reset_before ? 2 * H : width;  // columns of the first product
    Product<Real> recurrent(P, early), inner;
    if (two_products()) inner = Cell::reset_before ? Product<Real>(H, H) : Product<Real>(H, P);
    Barrier barrier;
    in_team(plan.threads, [&](int me, int team) {
      const Worker worker(plan, B, me, team, barrier);
      worker.pack(recurrent, p.weight_hh, P, 1);
      if (two_products()) worker.pack(inner, Cell::reset_before ? p.weight_hh + 2 * H * P : p.weight_hr, H, 1);
      barrier.wait(team);
      Rows first, then;
      for (int64_t i = 0; i < p.T; ++i) forward_step(time(i), worker, recurrent, inner, first, then);
    });
    for (int64_t b = 0; b < B; ++b) {
      const int64_t last = (p.reverse ? 0 : length(b) - 1) * B + b;
      const bool none = length(b) == 0;
      std::copy_n(none ? p.h0 + b * P : p.h + last * P, P, p.h_n + b * P);
      if (Cell::has_c) std::copy_n(none ? p.c0 + b * H : p.c + last * H, H, p.c_n + b * H);
    }
  }

 private:
  template <class F> void own_rows(const Worker& worker, int64_t t, F f) const {
    for (int64_t b = worker.own.begin; b < worker.own.end; ++b)
      if (active(t, b)) f(b, t * B + b, step(t, b));
  }
  template <class F> void multiplied_rows(const Worker& worker, int64_t t, Rows& rows, F f) const {
    rows.clear();
    for (int64_t b = worker.multiplied.begin; b < worker.multiplied.end; ++b)
      if (active(t, b)) f(b, t * B + b);
  }

  void forward_step(int64_t t, const Worker& worker, const Product<Real>& recurrent, const Product<Real>& inner,
      Rows& first, Rows& then) const {
    for (int64_t b = worker.own.begin; b < worker.own.end; ++b)
      if (active(t, b)) drop(step(t, b), b);
      else zero(t, b);
    multiplied_rows(
        worker, t, first, [&](int64_t b, int64_t) { first.take(step(t, b).operand, products.get() + b * width); });
    worker.run(recurrent, first);
    own_rows(worker, t, [&](int64_t b, int64_t at, const Step<Real>& s) {
      normalize_groups(at, products.get() + b * width, 0, Cell::reset_before ? 1 : Cell::groups);
      Cell::forward(p, s);
      if (!two_products()) end_forward(t, b, s);
    });
    if (!two_products()) return;
    multiplied_rows(worker, t, then, [&](int64_t b, int64_t at) {
      Real* const projected = zones_h() ? h_new.get() + b * P : p.h + at * P;
      then.take(operand2.get() + b * H, Cell::reset_before ? products.get() + b * width + 2 * H : projected);
    });
    worker.run(inner, then);
    own_rows(worker, t, [&](int64_t b, int64_t at, const Step<Real>& s) {
      if constexpr (Cell::reset_before) {
        normalize_groups(at, products.get() + b * width, 1, 2);
        Cell::forward_candidate(p, s);
      }
      end_forward(t, b, s);
    });
  }

  BackStep<Real> back_step(int64_t t, int64_t b, const Gradients& g, Real* own_scratch) const {
    const int64_t at = t * B + b;
    BackStep<Real> d{};
    d.d_gates_out = g.d_gates_out ? g.d_gates_out + at * width : nullptr;
    d.d_h = g.d_h0 + b * P;
    d.d_u = two_products() ? d_u.get() + b * H : d.d_h;
    d.d_c = Cell::has_c ? g.d_c0 + b * H : nullptr;
    d.d_gates = g.d_gates + at * width;
    d.d_product = g.d_product + at * width;
    d.scratch = own_scratch;
    return d;
  }
  // As `step`, where `cell` and `operand2` are the backward pass's own.
  Step<Real> step_again(int64_t t, int64_t b, const Gradients& g) const {
    Step<Real> s = step(t, b);
    s.cell = Cell::has_c ? cells.get() + b * H : nullptr;
    s.operand2 = g.operand2 ? g.operand2 + (t * B + b) * H : nullptr;
    return s;
  }
  void zero_gradients(int64_t at, const Gradients& g) const {
    auto clear = [at](Real* rows, int64_t size) {
      if (rows) fill<Real>(rows + at * size, size, 0);
    };
    clear(g.d_gates, width), clear(g.d_product, width), clear(g.d_projected, P), clear(g.operand2, H);
  }
  void begin_backward(int64_t b, int64_t at, const Gradients& g) const {
    Real* const d_h = g.d_h0 + b * P;
    if (g.d_hs) for_each_vector<Real>(P, [&](int64_t i, auto n) { add(d_h, load(g.d_hs + at * P + i, n), i, n); });
    if (g.d_cs)
      for_each_vector<Real>(H, [&](int64_t i, auto n) { add(g.d_c0 + b * H, load(g.d_cs + at * H + i, n), i, n); });
    if (zones_h()) zone_at(p.keep_h, p.rate_h, at, P).backward(d_h, old_h.get() + b * P, P);
    if (zones_c()) zone_at(p.keep_c, p.rate_c, at, H).backward(g.d_c0 + b * H, old_c.get() + b * H, H);
    if (g.d_projected) std::copy_n(d_h, P, g.d_projected + at * P);
  }
  // Adds what came back through the product and what zoneout kept; a reset passes it on to the initial state.
  void end_backward(int64_t t, int64_t b, const Gradients& g) const {
    Real* const d_h = g.d_h0 + b * P;
    Real* const d_c = Cell::has_c ? g.d_c0 + b * H : nullptr;
    for_each_vector<Real>(P, [&](int64_t i, auto n) {
      Vector<Real> v = load(back.get() + b * P + i, n);
      if constexpr (Cell::reset_before) v += load(d_u.get() + b * H + i, n);
      if (p.mask) v *= load(p.mask + b * P + i, n);
      if (zones_h()) v += load(old_h.get() + b * P + i, n);
      add(d_h, v, i, n);
    });
    if (zones_c())
      for_each_vector<Real>(H, [&](int64_t i, auto n) { add(d_c, load(old_c.get() + b * H + i, n), i, n); });
    if (origin(t, b) != Origin::initial) return;
    move(d_h, g.d_h_initial + b * P, P);
    if (Cell::has_c) move(d_c, g.d_c_initial + b * H, H);
  }
  static void move(Real* from, Real* to, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] += from[i], from[i] = 0;
  }

  void backward_step(int64_t t, const Worker& worker, const Gradients& g, const Product<Real>& recurrent,
      const Product<Real>& inner, Rows& first, Rows& then, Sums<Real>& sums) const {
    Real* const own_scratch = scratch.get() + worker.me * H;
    for (int64_t b = worker.own.begin; b < worker.own.end; ++b) {
      const int64_t at = t * B + b;
      if (!active(t, b)) {
        zero_gradients(at, g);
        continue;
      }
      const Step<Real> s = step_again(t, b, g);
      begin_backward(b, at, g);
      drop(s, b);
      if constexpr (Cell::reset_before) {
        Cell::backward_candidate(p, s, back_step(t, b, g, own_scratch));
        leave_groups(at, g, 1, 2, sums);
      }
    }
    if (two_products()) {
      multiplied_rows(worker, t, first, [&](int64_t b, int64_t at) {
        first.take(Cell::reset_before ? g.d_product + at * width + 2 * H : g.d_projected + at * P, d_u.get() + b * H);
      });
      worker.run(inner, first);
    }
    own_rows(worker, t, [&](int64_t b, int64_t at, const Step<Real>&) {
      Cell::backward(p, step_again(t, b, g), back_step(t, b, g, own_scratch), sums);
      leave_groups(at, g, 0, Cell::reset_before ? 1 : Cell::groups, sums);
      sums.row_done();
    });
    multiplied_rows(
        worker, t, then, [&](int64_t b, int64_t at) { then.take(g.d_product + at * width, back.get() + b * P); });
    worker.run(recurrent, then);
    own_rows(worker, t, [&](int64_t b, int64_t, const Step<Real>&) { end_backward(t, b, g); });
  }

 public:
  void backward(const Plan& plan, const Gradients& g) {
    masked = rows_of(p.mask && Cell::reset_before, P), cells = rows_of(Cell::has_c, H), back = rows_of(true, P),
    d_u = rows_of(two_products(), H);
    old_h = rows_of(zones_h(), P), old_c = rows_of(zones_c(), H), scratch = allocate<Real>(plan.threads * H);
    const int64_t early = Cell::reset_before ? 2 * H : width;
    Product<Real> recurrent(early, P), inner;
    if (two_products()) inner = Cell::reset_before ? Product<Real>(H, H) : Product<Real>(P, H);
    std::vector<Sums<Real>> sums(plan.threads);
    for (Sums<Real>& each : sums)
      each.prepare({width, width, (G - 1) * H, H, H}, {g.d_bias, g.d_gain_h, g.d_peephole, g.d_gain_c, g.d_shift_c});
    Barrier barrier;
    in_team(plan.threads, [&](int me, int team) {
      const Worker worker(plan, B, me, team, barrier);
      worker.pack(recurrent, p.weight_hh, 1, P);
      if (two_products()) worker.pack(inner, Cell::reset_before ? p.weight_hh + 2 * H * P : p.weight_hr, 1, H);
      barrier.wait(team);
      Rows first, then;
      for (int64_t i = p.T - 1; i >= 0; --i) backward_step(time(i), worker, g, recurrent, inner, first, then, sums[me]);
      sums[me].flush();
    });
    for (int i = 1; i < plan.threads; ++i) sums[0].merge(sums[i]);
    sums[0].leave();
  }
};

template <class Cell, class Real> void forward(const void* call, const Plan& plan) {
  Walk<Cell, Real>(*static_cast<const ExtendedCall<Real>*>(call)).forward(plan);
}
template <class Cell, class Real> void backward(const void* call, const void* gradients, const Plan& plan) {
  Walk<Cell, Real>(*static_cast<const ExtendedCall<Real>*>(call))
      .backward(plan, *static_cast<const ExtendedGradients<Real>*>(gradients));
}
template <class... Cells> ExtendedTable table_of() {
  return {{{forward<Cells, float>, forward<Cells, double>}...}, {{backward<Cells, float>, backward<Cells, double>}...},
      Lanes<float>::count};
}

}  // namespace options
}  // namespace LONGHOLD_ISA

const ExtendedTable& LONGHOLD_TABLE(extended)() {
  using namespace options;
  static const ExtendedTable table = table_of<ExtendedRnn<false>, ExtendedRnn<true>, ExtendedGru,
      ExtendedGruResetBefore, ExtendedLstm<false>, ExtendedLstm<true>>();
  return table;
}

}  // namespace longhold
