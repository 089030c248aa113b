#pragma once
#include <nanobind/nanobind.h>

namespace longhold {
void bind_extended(nanobind::module_& m);
}
