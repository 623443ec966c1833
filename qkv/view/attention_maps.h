// The attention of one sentence pair, as every picture of it takes it: tokens and one weight matrix
// for each kind, layer and head. Rows are queries, columns are keys.
//
//   kind           rows      columns
//   encoder_self   source    source
//   decoder_self   target    target_in
//   cross          target    source
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/attention/observer.h"
#include "qkv/tensor/tensor.h"

namespace qkv {

/// In place of the number of a head: the mean over all heads of the layer.
inline constexpr int kMeanHead = -1;

struct AttentionMap {
  enum class Kind : std::uint8_t { encoder_self, decoder_self, cross };
  Kind kind = Kind::cross;
  int layer = 0;   // from 0, the first above the embeddings
  int head = 0;    // from 0, or kMeanHead
  Tensor weights;  // [Lq Lk] f32, finite
};

constexpr std::array<std::string_view, 3> spelling(AttentionMap::Kind) {
  return {"encoder", "decoder", "cross"};
}

struct AttentionMaps {
  std::string title;                   // shown above pictures; may be empty
  std::vector<std::string> source;     // Ls labels, one a token
  std::vector<std::string> target;     // Lt labels: the token that each step produced
  std::vector<std::string> target_in;  // Lt labels: the token that each step was fed (<s> first);
                                       // empty: the same as target
  std::vector<AttentionMap> maps;      // in any order
  // Ls numbers: what each source token received from the whole target in the map that was asked
  // for; may be empty. Tokens that merge add theirs up (rows of merged maps are means).
  std::vector<double> received;
  std::string source_text;  // the sentences as people read them; may be empty
  std::string translation;
};

/// "encoder", "decoder", "cross"; the second form throws Error with that list.
std::string_view name_of(AttentionMap::Kind kind);
AttentionMap::Kind attention_kind(std::string_view name);

/// Adds what a forward pass attended to, by the names of its modules (qkv/attention/observer.h):
/// a map a head, of the layer that the last number of the path says (0 without one).
///   encoder….self                          encoder_self
///   decoder….self   blocks.N.attn          decoder_self
///   ….cross   ….pooling   ….attention      cross
/// Throws Error for any other path.
void add_maps(AttentionMaps& maps, std::span<const SeenAttention> seen);

/// The labels of the rows and columns of a kind.
const std::vector<std::string>& row_labels(const AttentionMaps& maps, AttentionMap::Kind kind);
const std::vector<std::string>& column_labels(const AttentionMaps& maps, AttentionMap::Kind kind);

/// Throws ShapeError when a map does not fit its labels, NumericError when a weight is not finite,
/// Error when two maps have the same kind, layer and head or a number is negative.
void check(const AttentionMaps& maps);

/// The layers that have maps of a kind, and the heads of such a layer; ascending.
std::vector<int> layers_of(const AttentionMaps& maps, AttentionMap::Kind kind);
std::vector<int> heads_of(const AttentionMaps& maps, AttentionMap::Kind kind, int layer);

/// One map; a negative layer counts from the last (-1). kMeanHead gives the stored mean when there
/// is one, otherwise the mean of the heads. Throws Error that lists what there is.
AttentionMap select(const AttentionMaps& maps, AttentionMap::Kind kind, int layer, int head);

/// Which group (word) each token belongs to: 0, 0, 1, 2, 2 …, ascending without gaps.
struct Groups {
  std::vector<std::int32_t> of_token;
  std::vector<std::string> labels = {};  // one a group; empty: the tokens' labels joined
};

/// Attention between groups: sums over the keys of a group, means over its queries, so a row that
/// summed to 1 still does. weights [Lq Lk] -> [groups of queries, groups of keys].
Tensor merge_weights(const Tensor& weights, std::span<const std::int32_t> query_groups,
                     std::span<const std::int32_t> key_groups);

/// The same for all maps, e.g. from sub-words to words. `target_in` is needed only when the maps
/// have labels of their own there. Throws Error when groups do not fit the tokens.
AttentionMaps merge_tokens(const AttentionMaps& maps, const Groups& source, const Groups& target,
                           const Groups& target_in = {});

/// At most `limit` rows and columns: neighbours merge evenly, labelled "first…last". Maps that are
/// small enough stay as they are.
AttentionMaps shrink(const AttentionMaps& maps, std::int64_t limit);

/// `count` items in at most `limit` even groups, in order.
Groups even_groups(const std::vector<std::string>& labels, std::int64_t limit);

}  // namespace qkv
