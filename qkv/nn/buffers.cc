#include "qkv/nn/buffers.h"

#include <utility>

namespace qkv {
namespace {

thread_local bool kept = false;

}  // namespace

bool buffers_move() { return recording() && !kept; }

KeepBuffers::KeepBuffers() : outer_(std::exchange(kept, true)) {}

KeepBuffers::~KeepBuffers() { kept = outer_; }

}  // namespace qkv
