#include "status.h"

#include <cstring>

namespace mpfwd {

const char* errnoName(int error) {
  const char* name = ::strerrorname_np(error);
  return name == nullptr ? "EUNKNOWN" : name;
}

}  // namespace mpfwd
