// Threads: torch's own OpenMP pool, and a barrier that yields.
#pragma once
#include <omp.h>
#include <sched.h>

#include <atomic>
#include <cstdint>

namespace longhold {

class Barrier {
  std::atomic<int> waiting{0};
  std::atomic<unsigned> round{0};
  std::atomic<int64_t> late{0};

 public:
  // Waits so long that the thread waited for cannot have been running.
  int64_t long_waits() const { return late.load(std::memory_order_relaxed); }
  void wait(int team) {
    if (team == 1) return;
    const unsigned now = round.load(std::memory_order_acquire);
    if (waiting.fetch_add(1, std::memory_order_acq_rel) + 1 == team) {
      waiting.store(0, std::memory_order_relaxed);
      round.store(now + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; round.load(std::memory_order_acquire) == now; ++spins) {
      if (spins < 2000) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
      } else {
        if (spins == 2000) late.fetch_add(1, std::memory_order_relaxed);
        sched_yield();
      }
    }
  }
};

// Backs off from barriers under contention. Where another program has one of the cores, threads that wait for each
// other at every step are many times slower than a single thread. So after such a call the next 8 run on one thread,
// and twice as many each time that a trial shows the core still taken.
class Contention {
  static constexpr int shortest = 8, longest = 1024;
  std::atomic<int> calls_left{0}, back_off{shortest};

 public:
  bool allows_waiting() {
    if (calls_left.load(std::memory_order_relaxed) <= 0) return true;
    calls_left.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  void note(const Barrier& barrier, int64_t waits) {
    if (barrier.long_waits() <= 2 + waits / 16) return back_off.store(shortest, std::memory_order_relaxed);
    const int calls = back_off.load(std::memory_order_relaxed);
    calls_left.store(calls, std::memory_order_relaxed);
    back_off.store(calls < longest ? 2 * calls : longest, std::memory_order_relaxed);
  }
};

inline Contention contention;

// The team may be smaller than `threads`: the body gets its size.
template <class Body> void in_team(int threads, Body body) {
  if (threads <= 1) return body(0, 1);
#pragma omp parallel num_threads(threads)
  body(omp_get_thread_num(), omp_get_num_threads());
}

}  // namespace longhold
