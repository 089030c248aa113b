// Addresses as Python hands them over, taken one after another.
#pragma once
#include <cstdint>
#include <vector>

namespace longhold {

using Address = uintptr_t;

// Braces with designated initialisers evaluate in the order of the members, so a list of `.name = a.next()` reads the
// addresses in the order in which Python names them.
class Addresses {
  const std::vector<Address>& all;
  size_t at = 0;

  struct Pointer {
    Address address;
    template <class T> operator T*() const { return reinterpret_cast<T*>(address); }
  };

 public:
  explicit Addresses(const std::vector<Address>& addresses) : all(addresses) {}
  Pointer next() { return {all.at(at++)}; }
};

}  // namespace longhold
