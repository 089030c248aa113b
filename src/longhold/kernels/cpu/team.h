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

// Whether threads that wait for each other at every step have kept up of late. Where another program has one of the
// cores they are many times slower than one thread alone, so after such a call the next ones are not shared: 8, and
// twice as many each time that a trial shows the core still taken.
class Company {
  static constexpr int least = 8, most = 1024;
  std::atomic<int> alone{0}, gap{least};

 public:
  bool keeps_up() {
    if (alone.load(std::memory_order_relaxed) <= 0) return true;
    alone.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  void note(const Barrier& barrier, int64_t waits) {
    if (barrier.long_waits() <= 2 + waits / 16) return gap.store(least, std::memory_order_relaxed);
    const int calls = gap.load(std::memory_order_relaxed);
    alone.store(calls, std::memory_order_relaxed);
    gap.store(calls < most ? 2 * calls : most, std::memory_order_relaxed);
  }
};

inline Company company;

// The team may be smaller than asked for: the body is told its size.
template <class Body> void in_team(int threads, Body body) {
  if (threads <= 1) return body(0, 1);
#pragma omp parallel num_threads(threads)
  body(omp_get_thread_num(), omp_get_num_threads());
}

}  // namespace longhold
