#include "isa.h"

#include <stdexcept>

namespace longhold {
namespace {

struct InstructionSet {
  Isa isa;
  const char* name;
  bool (*present)();
};

const std::vector<InstructionSet>& all_sets() {
  static const std::vector<InstructionSet> sets{
#if defined(__x86_64__)
      {Isa::avx512, "avx512",
          [] {
            return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
          }},
      {Isa::avx2, "avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
      {Isa::plain, "plain", [] { return true; }},
  };
  return sets;
}

const InstructionSet* chosen = nullptr;

const InstructionSet& in_use() {
  if (!chosen)
    for (const InstructionSet& set : all_sets())
      if (set.present()) {
        chosen = &set;
        break;
      }
  return *chosen;
}

}  // namespace

Isa isa_in_use() { return in_use().isa; }
std::string isa_name() { return in_use().name; }

std::vector<std::string> isa_available() {
  std::vector<std::string> names;
  for (const InstructionSet& set : all_sets())
    if (set.present()) names.emplace_back(set.name);
  return names;
}

void isa_use(const std::string& name) {
  for (const InstructionSet& set : all_sets())
    if (name == set.name && set.present()) {
      chosen = &set;
      return;
    }
  throw std::invalid_argument("this processor has no " + name);
}

}  // namespace longhold
