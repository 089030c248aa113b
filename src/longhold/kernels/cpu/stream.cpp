// Streams for one instruction set. CMake compiles this file once for each, with LONGHOLD_BYTES and LONGHOLD_ISA set.
#include "stream.h"

#include "moments.h"
#include "panels.h"
#include "sampler.h"

namespace longhold {
inline namespace LONGHOLD_ISA {

template <class Real> inline Vector<Real> first(Vector<Real> v, int64_t n) {
  return load(reinterpret_cast<const Real*>(&v), static_cast<int>(std::clamp<int64_t>(n, 0, Lanes<Real>::count)));
}

template <class Real> class Stack final : public Stepper {
  static constexpr int W = Lanes<Real>::count;
  using V_ = Vector<Real>;

  struct Layer {
    int64_t I = 0;
    Panels<Real> ih, hh, hn, hr;  // hn: the candidate's product where the reset gate comes before it
    Buffer<Real> bias_x, bias_h, bias_n, peephole, norm_ih, norm_hh, norm_c, bias_norm_c;
    Buffer<Real> h_initial, c_initial, h, c;

    Layer copy() const {
      return {
          .I = I,
          .ih = ih.copy(),
          .hh = hh.copy(),
          .hn = hn.copy(),
          .hr = hr.copy(),
          .bias_x = copy_of(bias_x),
          .bias_h = copy_of(bias_h),
          .bias_n = copy_of(bias_n),
          .peephole = copy_of(peephole),
          .norm_ih = copy_of(norm_ih),
          .norm_hh = copy_of(norm_hh),
          .norm_c = copy_of(norm_c),
          .bias_norm_c = copy_of(bias_norm_c),
          .h_initial = copy_of(h_initial),
          .c_initial = copy_of(c_initial),
          .h = copy_of(h),
          .c = copy_of(c),
      };
    }
  };

  const StreamCell cell;
  const int64_t H, P, Hp, Pp, G, R, count, chunk, outputs;
  const Real zoneout_h, zoneout_c;
  bool norm = false;
  std::unique_ptr<Layer[]> layers;
  Buffer<Real> gates_x, gates_h, operand2, projected, between[2], embedding, embedded, output_bias, logits;
  Panels<Real> output;
  Sampler<Real> sampler;
  Buffer<int8_t> next, places;  // null: any id may follow any other
  Buffer<Real> barred;          // for each state of `next` 0 or -inf, one row as long as the logits
  int64_t multiplied = 0;
  mutable Barrier barrier;

  static constexpr int64_t gates_of(StreamCell cell) {
    return cell == stream_lstm ? 4 : cell <= stream_rnn_relu ? 1 : 3;
  }
  bool is_lstm() const { return cell >= stream_lstm; }
  bool is_gru() const { return cell == stream_gru || cell == stream_gru_reset_before; }

  // (blocks * size) to blocks padded to whole vectors; null stays null.
  Buffer<Real> spread(const void* source, int64_t blocks, int64_t size) const {
    if (!source) return nullptr;
    const int64_t wide = padded<Real>(size);
    Buffer<Real> made = zeros(blocks * wide);
    for (int64_t b = 0; b < blocks; ++b)
      std::memcpy(made.get() + b * wide, static_cast<const Real*>(source) + b * size, size * sizeof(Real));
    return made;
  }
  static Buffer<Real> zeros(int64_t n) {
    Buffer<Real> made = allocate<Real>(n);
    std::memset(made.get(), 0, n * sizeof(Real));
    return made;
  }
  static Panels<Real> pack(const MatrixView& m, int64_t first_block, int64_t blocks, int64_t size, int64_t K) {
    if (!m.values) return {};
    const int64_t at = first_block * size;
    if (m.storage == storage_bfloat16)
      return {{.halves = static_cast<const uint16_t*>(m.values) + at * K}, blocks, size, K};
    if (m.storage == storage_int8)
      return {
          {.bytes = static_cast<const int8_t*>(m.values) + at * K, .scales = static_cast<const Real*>(m.scale) + at},
          blocks, size, K};
    return {{.numbers = static_cast<const Real*>(m.values) + at * K}, blocks, size, K};
  }

  // Both biases are part of the input projection, except what stands inside the reset product, and what follows a layer
  // norm.
  void take_biases(Layer& layer, const LayerView& view) const {
    layer.bias_x = spread(view.bias_ih, G, H);
    Buffer<Real> bias_h = spread(view.bias_hh, G, H);
    if (is_gru()) layer.bias_n = zeros(Hp);
    if (norm || !bias_h) {
      layer.bias_h = std::move(bias_h);
      return;
    }
    const int64_t shared = is_gru() ? 2 * Hp : R;
    for (int64_t i = 0; i < shared; ++i) layer.bias_x[i] += bias_h[i];
    if (is_gru()) std::memcpy(layer.bias_n.get(), bias_h.get() + 2 * Hp, Hp * sizeof(Real));
  }

 public:
  explicit Stack(const StackView& view)
      : Stepper(view.B, view.layers[0].I, view.V, sizeof(Real)), cell(view.cell), H(view.H), P(view.P),
        Hp(padded<Real>(H)), Pp(padded<Real>(P)), G(gates_of(cell)), R(G * Hp), count(view.count),
        chunk(std::max<int64_t>(1, 24 / B)), outputs(view.outputs), zoneout_h(static_cast<Real>(view.zoneout_h)),
        zoneout_c(static_cast<Real>(view.zoneout_c)), layers(new Layer[view.count]) {
    norm = view.layers[0].norm_hh != nullptr;
    for (int64_t l = 0; l < count; ++l) {
      const LayerView& from = view.layers[l];
      Layer& layer = layers[l];
      layer.I = from.I;
      layer.ih = pack(from.ih, 0, G, H, from.I);
      layer.hh = pack(from.hh, 0, cell == stream_gru_reset_before ? 2 : G, H, P);
      if (cell == stream_gru_reset_before) layer.hn = pack(from.hh, 2, 1, H, P);
      layer.hr = pack(from.hr, 0, 1, P, H);
      take_biases(layer, from);
      layer.peephole = spread(from.peephole, G - 1, H);
      layer.norm_ih = spread(from.norm_ih, G, H);
      layer.norm_hh = spread(from.norm_hh, G, H);
      layer.norm_c = spread(from.norm_c, 1, H);
      layer.bias_norm_c = from.norm_c && !from.bias_norm_c ? zeros(Hp) : spread(from.bias_norm_c, 1, H);
      layer.h_initial = spread(from.h_initial, 1, P);
      layer.c_initial = spread(from.c_initial, 1, H);
      layer.h = zeros(B * Pp);
      if (is_lstm()) layer.c = zeros(B * Hp);
      multiplied +=
          B * H * (G * (P + (l || view.embedding || !view.output.values ? from.I : 0)) + (from.hr.values ? P : 0));
    }
    gates_x = zeros(chunk * B * R);
    gates_h = zeros(B * R);
    operand2 = zeros(B * Hp);
    projected = zeros(B * Pp);
    for (auto& buffer : between) buffer = zeros(chunk * B * Pp);
    if (view.embedding) {
      embedding = allocate<Real>(V * I);
      std::memcpy(embedding.get(), view.embedding, V * I * sizeof(Real));
      embedded = zeros(chunk * B * I);
    }
    if (view.output.values) {
      output = pack(view.output, 0, 1, view.outputs, P);
      output_bias = spread(view.output_bias, 1, view.outputs);
      logits = zeros(B * output.rows());
      sampler = Sampler<Real>(view.outputs);
      multiplied += B * view.outputs * P;
    }
    for (int64_t b = 0; b < B; ++b) reset(b);
  }

  Stack(const Stack& from)
      : Stepper(from.B, from.I, from.V, from.width), cell(from.cell), H(from.H), P(from.P), Hp(from.Hp), Pp(from.Pp),
        G(from.G), R(from.R), count(from.count), chunk(from.chunk), outputs(from.outputs), zoneout_h(from.zoneout_h),
        zoneout_c(from.zoneout_c), norm(from.norm), layers(new Layer[from.count]), gates_x(copy_of(from.gates_x)),
        gates_h(copy_of(from.gates_h)), operand2(copy_of(from.operand2)), projected(copy_of(from.projected)),
        between{copy_of(from.between[0]), copy_of(from.between[1])}, embedding(copy_of(from.embedding)),
        embedded(copy_of(from.embedded)), output_bias(copy_of(from.output_bias)), logits(copy_of(from.logits)),
        output(from.output.copy()), sampler(from.sampler.alike()), next(copy_of(from.next)),
        places(copy_of(from.places)), barred(copy_of(from.barred)), multiplied(from.multiplied) {
    for (int64_t l = 0; l < count; ++l) layers[l] = from.layers[l].copy();
  }

  Stepper* copy() const override { return new Stack(*this); }
  int64_t products() const override { return multiplied; }

  void reset(int64_t row) override {
    for (int64_t l = 0; l < count; ++l) {
      std::memcpy(layers[l].h.get() + row * Pp, layers[l].h_initial.get(), P * sizeof(Real));
      if (is_lstm()) std::memcpy(layers[l].c.get() + row * Hp, layers[l].c_initial.get(), H * sizeof(Real));
    }
  }
  void read_state(void* h, void* c) const override {
    for (int64_t l = 0; l < count; ++l)
      for (int64_t b = 0; b < B; ++b) {
        std::memcpy(static_cast<Real*>(h) + (l * B + b) * P, layers[l].h.get() + b * Pp, P * sizeof(Real));
        if (is_lstm())
          std::memcpy(static_cast<Real*>(c) + (l * B + b) * H, layers[l].c.get() + b * Hp, H * sizeof(Real));
      }
  }
  void write_state(const void* h, const void* c) override {
    for (int64_t l = 0; l < count; ++l)
      for (int64_t b = 0; b < B; ++b) {
        std::memcpy(layers[l].h.get() + b * Pp, static_cast<const Real*>(h) + (l * B + b) * P, P * sizeof(Real));
        if (is_lstm())
          std::memcpy(layers[l].c.get() + b * Hp, static_cast<const Real*>(c) + (l * B + b) * H, H * sizeof(Real));
      }
  }

  void run(int64_t steps, const void* x, const int64_t* ids, void* out, int threads) override {
    in_team(threads, [&](int me, int team) {
      for (int64_t t = 0; t < steps; t += chunk) {
        const Real* in = x ? static_cast<const Real*>(x) + t * B * I : nullptr;
        advance(
            std::min(chunk, steps - t), in, ids ? ids + t * B : nullptr, static_cast<Real*>(out) + t * B * P, me, team);
      }
    });
  }

  void follow(int64_t states, const int8_t* table, const int8_t* at) override {
    next = allocate<int8_t>(states * outputs);
    places = allocate<int8_t>(B);
    std::memcpy(next.get(), table, states * outputs);
    std::memcpy(places.get(), at, B);
    barred = allocate<Real>(states * output.rows());
    for (int64_t s = 0; s < states; ++s)
      for (int64_t v = 0; v < output.rows(); ++v) {
        const bool may = v < outputs && table[s * outputs + v] >= 0;
        barred[s * output.rows() + v] = may ? 0 : -std::numeric_limits<Real>::infinity();
      }
  }

  int64_t draw(int64_t wanted, int64_t* ids, const double* uniforms, const Rules& rules, int threads) override {
    const bool is_shared = output.rows() * P >= 65536;  // a smaller output layer takes less time than a barrier
    int64_t taken = 0;
    bool finite = true;
    in_team(threads, [&](int me, int team) {
      for (int64_t t = 0; t < wanted; ++t) {
        advance(1, nullptr, ids + t * B, nullptr, me, team);
        if (is_shared || me == 0)
          output.multiply(B, layers[count - 1].h.get(), Pp, output_bias.get(), logits.get(), output.rows(),
              is_shared ? me : 0, is_shared ? team : 1);
        if (is_shared) barrier.wait(team);
        if (me == 0) {
          for (int64_t b = 0; b < B; ++b) {
            const Real* const bar = next ? barred.get() + places[b] * output.rows() : nullptr;
            const int64_t id = sampler.draw(logits.get() + b * output.rows(), rules, bar, uniforms[t * B + b]);
            ids[(t + 1) * B + b] = id;
            finite = finite && id >= 0;
            if (finite && bar) places[b] = std::max<int64_t>(0, next[places[b] * outputs + id]);
          }
          taken += finite;
        }
        barrier.wait(team);
        if (!finite) break;
      }
    });
    return taken;
  }

 private:
  // A chunk of steps, layer by layer: the input projection of all steps at once, then the recurrence.
  void advance(int64_t steps, const Real* x, const int64_t* ids, Real* out, int me, int team) {
    int64_t stride = I;
    if (ids && embedding) {
      if (me == 0)
        for (int64_t i = 0; i < steps * B; ++i)
          std::memcpy(embedded.get() + i * I, embedding.get() + ids[i] * I, I * sizeof(Real));
      barrier.wait(team);
      x = embedded.get();
      ids = nullptr;
    }
    for (int64_t l = 0; l < count; ++l) {
      Layer& layer = layers[l];
      if (ids && l == 0) {
        if (me == 0)
          for (int64_t i = 0; i < steps * B; ++i)
            layer.ih.column(ids[i], norm ? nullptr : layer.bias_x.get(), gates_x.get() + i * R);
      } else {
        layer.ih.multiply(steps * B, x, stride, norm ? nullptr : layer.bias_x.get(), gates_x.get(), R, me, team);
        barrier.wait(team);
      }
      if (norm && me == 0)
        for (int64_t i = 0; i < steps * B; ++i)
          normalize_gates(gates_x.get() + i * R, layer.norm_ih.get(), layer.bias_x.get());
      const bool last = l + 1 == count;
      Real* const to = last ? out : between[l % 2].get();
      const int64_t to_stride = last ? P : Pp;
      for (int64_t t = 0; t < steps; ++t)
        step(layer, gates_x.get() + t * B * R, to ? to + t * B * to_stride : nullptr, to_stride, me, team);
      x = to;
      stride = to_stride;
    }
  }

  void step(Layer& layer, const Real* gx, Real* to, int64_t to_stride, int me, int team) {
    layer.hh.multiply(B, layer.h.get(), Pp, nullptr, gates_h.get(), R, me, team);
    barrier.wait(team);
    if (layer.hn) {
      if (me == 0)
        for (int64_t b = 0; b < B; ++b)
          gate_reset(layer, gx + b * R, gates_h.get() + b * R, layer.h.get() + b * Pp, operand2.get() + b * Hp);
      barrier.wait(team);
      layer.hn.multiply(B, operand2.get(), Hp, nullptr, gates_h.get() + 2 * Hp, R, me, team);
      barrier.wait(team);
    }
    if (me == 0)
      for (int64_t b = 0; b < B; ++b) update(layer, b, gx + b * R, gates_h.get() + b * R);
    if (layer.hr) {
      barrier.wait(team);
      layer.hr.multiply(B, operand2.get(), Hp, nullptr, projected.get(), Pp, me, team);
      barrier.wait(team);
      if (me == 0)
        for (int64_t b = 0; b < B; ++b)
          for (int64_t u = 0; u < Pp; u += W) take_h(layer, b, u, load(projected.get() + b * Pp + u));
    }
    if (me == 0 && to)
      for (int64_t b = 0; b < B; ++b) std::memcpy(to + b * to_stride, layer.h.get() + b * Pp, P * sizeof(Real));
    barrier.wait(team);
  }

  // v = (v - mean) / sqrt(var + 1e-5) * gain + bias over `gates` gates of H; bias may be null.
  void normalize(Real* v, int64_t gates, const Real* gain, const Real* bias) const {
    V_ sum{}, squares{};
    for (int64_t i = 0; i < gates * Hp; i += W)
      sum += first<Real>(load(v + i), H - i % Hp);  // padding may have become NaN
    const Real mean = total(sum) / (gates * H);
    for (int64_t i = 0; i < gates * Hp; i += W) {
      const V_ d = first<Real>(load(v + i) - mean, H - i % Hp);
      squares += d * d;
    }
    const Moments<Real> m =
        moments_of(mean, total(squares) / (gates * H), [&](int64_t i) { return v[i / H * Hp + i % H]; }, gates * H);
    for (int64_t i = 0; i < gates * Hp; i += W) {
      const V_ d = (load(v + i) - m.mean) * m.scale * load(gain + i);
      store(v + i, bias ? d + load(bias + i) : d);
    }
  }
  static Real total(V_ v) {
    Real sum = 0;
    for (int i = 0; i < W; ++i) sum += v[i];
    return sum;
  }
  void normalize_gates(Real* v, const Real* gain, const Real* bias) const {
    if (!is_gru()) return normalize(v, G, gain, bias);
    normalize(v, 2, gain, bias);
    normalize_candidate(v, gain, bias);
  }
  void normalize_candidate(Real* v, const Real* gain, const Real* bias) const {
    normalize(v + 2 * Hp, 1, gain + 2 * Hp, bias ? bias + 2 * Hp : nullptr);
  }

  void gate_reset(const Layer& layer, const Real* gx, Real* gh, const Real* h, Real* gated) const {
    if (norm) normalize(gh, 2, layer.norm_hh.get(), layer.bias_h.get());
    for (int64_t u = 0; u < Hp; u += W) store(gated + u, sigmoid(load(gx + u) + load(gh + u)) * load(h + u));
  }

  void take_h(Layer& layer, int64_t b, int64_t u, V_ now) const {
    Real* h = layer.h.get() + b * Pp + u;
    store(h, zoneout_h == 0 ? now : zoneout_h * load(h) + (1 - zoneout_h) * now);
  }

  void update(Layer& layer, int64_t b, const Real* gx, Real* gh) {
    if (norm) {
      if (layer.hn) normalize_candidate(gh, layer.norm_hh.get(), layer.bias_h.get());
      else normalize_gates(gh, layer.norm_hh.get(), layer.bias_h.get());
    }
    if (is_lstm()) return update_lstm(layer, b, gx, gh);
    for (int64_t u = 0; u < Hp; u += W) {
      const V_ a = load(gx + u) + load(gh + u);
      if (cell == stream_rnn_tanh) take_h(layer, b, u, tanh(a));
      else if (cell == stream_rnn_relu) take_h(layer, b, u, a > 0 ? a : (a == a ? V_{} : a));
      else take_h(layer, b, u, gru(layer, a, gx, gh, load(layer.h.get() + b * Pp + u), u));
    }
  }

  V_ gru(const Layer& layer, V_ a, const Real* gx, const Real* gh, V_ h, int64_t u) const {
    const V_ r = layer.hn ? V_{} + 1 : sigmoid(a), z = sigmoid(load(gx + Hp + u) + load(gh + Hp + u));
    const V_ n = tanh(load(gx + 2 * Hp + u) + r * (load(gh + 2 * Hp + u) + load(layer.bias_n.get() + u)));
    return n + z * (h - n);
  }

  void update_lstm(Layer& layer, int64_t b, const Real* gx, Real* gh) {
    const bool coupled = cell == stream_lstm_coupled;
    const int64_t of_g = coupled ? Hp : 2 * Hp, of_o = of_g + Hp;
    const Real* peephole = layer.peephole.get();
    Real* const c = layer.c.get() + b * Hp;
    const auto gate = [&](int64_t at) { return load(gx + at) + load(gh + at); };
    for (int64_t u = 0; u < Hp; u += W) {
      const V_ old = load(c + u);
      V_ i = gate(u), f = gate(coupled ? u : Hp + u), o = gate(of_o + u);
      if (peephole) {
        i += load(peephole + u) * old;
        f += load(peephole + Hp + u) * old;
      }
      i = sigmoid(i);
      f = coupled ? 1 - i : sigmoid(f);
      const V_ now = f * old + i * tanh(gate(of_g + u));
      if (peephole) o += load(peephole + of_g + u) * now;
      o = sigmoid(o);
      store(c + u, zoneout_c == 0 ? now : zoneout_c * old + (1 - zoneout_c) * now);
      if (!layer.norm_c) show(layer, b, u, o * tanh(now));
      else {
        store(gh + u, now);
        store(gh + of_o + u, o);
      }
    }
    if (layer.norm_c) {
      normalize(gh, 1, layer.norm_c.get(), layer.bias_norm_c.get());
      for (int64_t u = 0; u < Hp; u += W) show(layer, b, u, load(gh + of_o + u) * tanh(load(gh + u)));
    }
  }
  void show(Layer& layer, int64_t b, int64_t u, V_ now) {
    if (layer.hr) store(operand2.get() + b * Hp + u, now);
    else take_h(layer, b, u, now);
  }
};

template <class Real> Stepper* make(const StackView& view) { return new Stack<Real>(view); }

}  // namespace LONGHOLD_ISA

const Steppers& LONGHOLD_TABLE(steppers)() {
  static const Steppers table{{make<float>, make<double>}};
  return table;
}

}  // namespace longhold
