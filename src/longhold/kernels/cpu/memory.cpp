#include "memory.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <vector>

namespace longhold {
namespace {

constexpr size_t line = 64;
constexpr size_t kept_blocks = 16, kept_bytes = size_t(16) << 20;  // of each thread, and of one block

struct Block {
  void* memory;
  size_t bytes;
};

struct Kept {
  std::vector<Block> blocks;
  ~Kept() {
    for (const Block& block : blocks) std::free(block.memory);
  }
};
thread_local Kept kept;

size_t rounded(size_t bytes) { return std::max(line, (bytes + line - 1) / line * line); }

}  // namespace

void* take_scratch(size_t bytes) {
  const size_t size = rounded(bytes);
  auto& blocks = kept.blocks;
  const auto found =
      std::find_if(blocks.begin(), blocks.end(), [&](const Block& block) { return block.bytes == size; });
  if (found != blocks.end()) {
    void* memory = found->memory;
    blocks.erase(found);
    return memory;
  }
  if (void* memory = std::aligned_alloc(line, size)) return memory;
  throw std::bad_alloc();
}

void give_scratch(void* memory, size_t bytes) {
  if (!memory) return;
  const size_t size = rounded(bytes);
  auto& blocks = kept.blocks;
  if (size > kept_bytes) return std::free(memory);
  if (blocks.size() == kept_blocks) {  // the one unused for longest goes
    std::free(blocks.front().memory);
    blocks.erase(blocks.begin());
  }
  blocks.push_back({memory, size});
}

}  // namespace longhold
