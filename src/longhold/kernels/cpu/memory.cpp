#include "memory.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <vector>

namespace longhold {
namespace {

constexpr size_t line = 64;
constexpr size_t cached_blocks = 16, cached_bytes = size_t(16) << 20;  // of each thread, and of one block

struct Block {
  void* memory;
  size_t bytes;
};

struct Cache {
  std::vector<Block> blocks;
  ~Cache() {
    for (const Block& block : blocks) std::free(block.memory);
  }
};
thread_local Cache cache;

size_t rounded(size_t bytes) { return std::max(line, (bytes + line - 1) / line * line); }

}  // namespace

void* take_scratch(size_t bytes) {
  const size_t size = rounded(bytes);
  auto& blocks = cache.blocks;
  const auto match =
      std::find_if(blocks.begin(), blocks.end(), [&](const Block& block) { return block.bytes == size; });
  if (match != blocks.end()) {
    void* memory = match->memory;
    blocks.erase(match);
    return memory;
  }
  if (void* memory = std::aligned_alloc(line, size)) return memory;
  throw std::bad_alloc();
}

void give_scratch(void* memory, size_t bytes) {
  if (!memory) return;
  const size_t size = rounded(bytes);
  auto& blocks = cache.blocks;
  if (size > cached_bytes) return std::free(memory);
  if (blocks.size() == cached_blocks) {  // the one unused for longest goes
    std::free(blocks.front().memory);
    blocks.erase(blocks.begin());
  }
  blocks.push_back({memory, size});
}

}  // namespace longhold
