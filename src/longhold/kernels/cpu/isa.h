// Instruction sets: which there are, which is in use, and how one source serves them all.
#pragma once
#include <string>
#include <vector>

namespace longhold {

enum class Isa { plain, avx2, avx512 };

Isa isa_in_use();  // the best that the processor has, unless another was named
std::string isa_name();
std::vector<std::string> isa_available();  // best first
void isa_use(const std::string& name);     // for tests; throws std::invalid_argument

}  // namespace longhold

// A feature's functions stand in one table, compiled once for each instruction set: `LONGHOLD_TABLE(loss)` names the
// table's getter in the source that is compiled so, `LONGHOLD_TABLES(LossTable, loss)` declares them all and `loss()`,
// which gives the one in use.
#define LONGHOLD_JOIN(a, b) a##_##b
#define LONGHOLD_NAME(feature, isa) LONGHOLD_JOIN(feature, isa)
#define LONGHOLD_TABLE(feature) LONGHOLD_NAME(feature, LONGHOLD_ISA)
#if defined(__x86_64__)
#define LONGHOLD_TABLES(Type, feature)             \
  const Type& feature##_plain();                   \
  const Type& feature##_avx2();                    \
  const Type& feature##_avx512();                  \
  inline const Type& feature() {                   \
    switch (isa_in_use()) {                        \
      case Isa::avx512: return feature##_avx512(); \
      case Isa::avx2: return feature##_avx2();     \
      default: return feature##_plain();           \
    }                                              \
  }
#else
#define LONGHOLD_TABLES(Type, feature) \
  const Type& feature##_plain();       \
  inline const Type& feature() { return feature##_plain(); }
#endif
