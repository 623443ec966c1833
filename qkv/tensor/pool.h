// The memory behind tensors: blocks of 64-byte alignment, kept for reuse in size classes, so that a
// training step in its steady state asks the system for nothing. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>

namespace qkv {

/// At least `bytes` bytes; given back to the pool with the last copy of the pointer.
std::shared_ptr<void> pool_allocate(std::size_t bytes);

}  // namespace qkv
