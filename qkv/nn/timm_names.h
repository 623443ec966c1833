// Names and layout of weights as timm and the programs around it (SwinIR) have them.
#pragma once

#include <string>

#include "qkv/nn/multi_head.h"
#include "qkv/nn/state_dict.h"
#include "qkv/nn/transformer_layers.h"

namespace qkv {

/// "qkv" with q, k and v below each other, heads inside, and "proj".
void list_timm_attention(const MultiHead& m, const std::string& prefix, StateEntries& entries);
/// "fc1" and "fc2".
void list_timm_mlp(const FeedForward& m, const std::string& prefix, StateEntries& entries);
/// "norm1", "attn", "norm2", "mlp".
void list_timm_block(const EncoderLayer& m, const std::string& prefix, StateEntries& entries);

}  // namespace qkv
