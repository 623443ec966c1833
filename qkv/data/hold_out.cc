#include "qkv/data/hold_out.h"

#include <algorithm>

#include "qkv/base/error.h"

namespace qkv {

std::vector<bool> held_out(std::size_t size, std::size_t every, const char* what) {
  const std::size_t step = std::max(every, size / 1000);
  std::vector<bool> out(size, false);
  bool any = false;
  for (std::size_t i = step - 1; i < size; i += step) any = out[i] = true;
  if (!any) fail("too few {} to hold some out; give --valid", what);
  return out;
}

std::vector<std::string> hold_out_tail(std::vector<std::string>& train, std::size_t count) {
  if (count == 0 || count >= train.size()) fail("too few lines to hold some out; give --valid");
  const auto kept = static_cast<std::ptrdiff_t>(train.size() - count);
  std::vector<std::string> valid(train.begin() + kept, train.end());
  train.resize(static_cast<std::size_t>(kept));
  return valid;
}

}  // namespace qkv
