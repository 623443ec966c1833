// Rows of a table, with what models do to them at once: scale, positions, dropout.
#pragma once

#include <cstdint>

#include "qkv/base/random.h"

namespace qkv::kernels {

/// out[t] = dropout(scale · table[ids[t]] + positions[position[t]]); positions may be null.
/// Ids must lie in [0, V), or be −1 for a row of zeros: the caller has checked. Dropout draws
/// element t·cols + c.
template <class T>
struct EmbedForward {
  std::int64_t rows, cols;
  const std::int32_t* ids;  // [rows]
  const T* table;           // [V cols]
  T scale = 1;
  const T* positions = nullptr;            // [P cols]
  const std::int32_t* position = nullptr;  // [rows]
  Dropout dropout;
  T* out;
};

/// dtable[ids[t]] += scale · dropout(dout[t]); dpositions[position[t]] += dropout(dout[t]) (null:
/// not wanted). Rows with the same id are added in order of t, whatever the thread count.
template <class T>
struct EmbedBackward {
  std::int64_t rows, cols, vocabulary;
  const std::int32_t* ids;
  T scale = 1;
  const std::int32_t* position = nullptr;
  Dropout dropout;
  const T* dout;
  T* dtable = nullptr;
  T* dpositions = nullptr;
};

namespace definition {
template <class T>
void embed(const EmbedForward<T>& a);
template <class T>
void embed_backward(const EmbedBackward<T>& a);
}  // namespace definition

void embed(const EmbedForward<float>& a);
void embed_backward(const EmbedBackward<float>& a);

}  // namespace qkv::kernels
