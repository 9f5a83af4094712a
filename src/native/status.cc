#include "status.h"

#include <cstring>

namespace mpfwd {

const char* errnoName(int error) {
  if (error < 0) return "EOF";
  const char* name = ::strerrorname_np(error);
  return name == nullptr ? "EUNKNOWN" : name;
}

}  // namespace mpfwd
