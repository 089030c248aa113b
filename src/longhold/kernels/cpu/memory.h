// Scratch memory that calls hand on to each other: fresh pages cost as much as a small recurrence.
#pragma once
#include <cstddef>
#include <cstring>
#include <memory>

namespace longhold {

void* take_scratch(size_t bytes);  // aligned to a cache line, of this thread's own; throws std::bad_alloc
void give_scratch(void* memory, size_t bytes);

template <class Real> struct GiveBack {
  size_t bytes = 0;
  void operator()(Real* memory) const { give_scratch(memory, bytes); }
};
template <class Real> using Buffer = std::unique_ptr<Real[], GiveBack<Real>>;

template <class Real> Buffer<Real> allocate(size_t count) {
  const size_t bytes = count * sizeof(Real);
  return Buffer<Real>(static_cast<Real*>(take_scratch(bytes)), {bytes});
}

template <class Real> Buffer<Real> copy_of(const Buffer<Real>& from) {
  if (!from) return {};
  Buffer<Real> made = allocate<Real>(from.get_deleter().bytes / sizeof(Real));
  std::memcpy(made.get(), from.get(), from.get_deleter().bytes);
  return made;
}

}  // namespace longhold
