// Threads: torch's own OpenMP pool, and a barrier that yields.
#pragma once
#include <omp.h>
#include <sched.h>

#include <atomic>

namespace longhold {

class Barrier {
  std::atomic<int> waiting{0};
  std::atomic<unsigned> round{0};

 public:
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
        sched_yield();
      }
    }
  }
};

// The team may be smaller than asked for: the body is told its size.
template <class Body> void in_team(int threads, Body body) {
  if (threads <= 1) return body(0, 1);
#pragma omp parallel num_threads(threads)
  body(omp_get_thread_num(), omp_get_num_threads());
}

}  // namespace longhold
