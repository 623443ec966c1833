// Which loops compute a call: decided here and nowhere else, for the dispatch of attend() and for
// whoever asks (qkv/attention/explain.h), so that what is shown is what runs.
#pragma once

#include <cstdint>

#include "qkv/kernels/attention/form.h"
#include "qkv/kernels/attention/plan.h"

namespace qkv::kernels {

enum class AttendPath : std::uint8_t {
  product_tiles,   ///< product scores and softmax, streaming, tuned
  product_rows,    ///< the same bits for sequences of few query rows; backward: product_tiles
  general_tiles,   ///< any score and bias, a tile at a time, normalisers that stream
  neighbour_rows,  ///< any form, row by row over lists of keys: work and memory by visible pairs
  row_strips,      ///< the same tiles, with all scores of a few rows held for the normaliser
  definition,      ///< row by row as the formulas read, one thread
};

/// Of the forward and the backward pass, product_rows apart. `form` may be null; `entropy`: whether
/// it is wanted.
inline AttendPath attend_path(const AttendPlan& plan, const AttendForm<float>* form, bool entropy) {
  if (plan.lists) return AttendPath::neighbour_rows;
  if (!form) return entropy ? AttendPath::general_tiles : AttendPath::product_tiles;
  if (!form->norm.streams()) return AttendPath::row_strips;
  const bool plain = form->score == ScoreForm::product && form->biases.empty() &&
                     form->norm.kind == NormForm<float>::Kind::softmax;
  return plain && !entropy ? AttendPath::product_tiles : AttendPath::general_tiles;
}
inline AttendPath attend_path(const AttendPlan&, const AttendForm<double>*, bool) {
  return AttendPath::definition;
}

/// Query rows up to which a sequence is computed with keys in the lanes of a vector instead of
/// rows: beyond, the lanes fill well enough.
inline constexpr std::int64_t kFewRows = 8;

/// Whether the forward pass of a sequence goes by product_rows where that of the call goes by
/// product_tiles.
inline bool few_rows(const AttendPlan::Segment& s, bool dropout) {
  const std::int64_t rows = s.q_end - s.q_begin, keys = s.k_end - s.k_begin;
  return rows <= kFewRows && (rows <= 1 || 4 * rows <= keys) && !dropout;
}

}  // namespace qkv::kernels
