// How every model is loaded.
#pragma once

#include <filesystem>

#include "qkv/io/directory.h"
#include "qkv/ops/prepare.h"

namespace qkv {

/// read_whole(), while the kernels that the model's first answer needs are made.
template <class Read>
auto load_whole(const std::filesystem::path& directory, const Read& read) {
  const ProductsBeside products;
  return read_whole(directory, read);
}

}  // namespace qkv
