#include "qkv/systems/import/bert_weights.h"

#include <algorithm>
#include <set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/weight_files.h"
#include "qkv/nn/positions.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/weights_file.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

constexpr const char* kWords = "bert.embeddings.word_embeddings.weight";
constexpr const char* kPositions = "bert.embeddings.position_embeddings.weight";
constexpr const char* kBias = "cls.predictions.bias";
constexpr const char* kDecoder = "cls.predictions.decoder.weight";
constexpr const char* kDecoderBias = "cls.predictions.decoder.bias";

const Tensor* find(const StateDict& state, std::string_view name) {
  const auto found = std::find_if(state.begin(), state.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  return found == state.end() ? nullptr : &found->second;
}

std::string name_in_file(const BertWeights& weights, std::string_view own) {
  return foreign_bert_name(std::string(own), weights.config, weights.head);
}

[[noreturn]] void own_head(const BertWeights& weights, const char* name, const char* other) {
  throw DataError(weights.path, 0,
                  fmt::format("tensor '{}' is no copy of '{}'; a decoder of its own is not "
                              "supported",
                              name_in_file(weights, name), name_in_file(weights, other)));
}

/// The decoder of hidden words is the table of words: what the file says of it must agree.
void check_copies(BertWeights& weights, const Tensor& decoder, const Tensor& bias) {
  const Tensor *words = find(weights.state, kWords), *own = find(weights.state, kBias);
  if (decoder.defined() && words && !same_numbers(decoder, *words)) {
    own_head(weights, kDecoder, kWords);
  }
  if (!bias.defined()) return;
  if (!own) {
    weights.state.emplace_back(kBias, bias);  // some files hold this name alone
  } else if (!same_numbers(bias, *own)) {
    own_head(weights, kDecoderBias, kBias);
  }
}

}  // namespace

bool BertWeights::has(std::string_view name) const { return find(state, name) != nullptr; }

BertWeights read_bert_weights(const ModelDirectory& directory, const BertConfig& config,
                              BertHead head) {
  BertWeights weights;
  weights.config = config;
  weights.head = head;
  const WeightFiles files(directory.path());
  weights.path = files.path();
  weights.notes = files.notes();
  Tensor decoder, decoder_bias;
  for (const std::string& own : files.names()) {
    const SafetensorsFile& file = files.file_of(own);
    const std::string name = own_bert_name(own, config, head);
    if (name.ends_with("embeddings.position_ids") || name.ends_with("embeddings.token_type_ids")) {
      if (!file.counts_up(own, name.ends_with("position_ids") ? 1 : 0)) {
        throw DataError(weights.path, 0,
                        fmt::format("tensor '{}' is not 0, {}; this program knows nothing else",
                                    own, name.ends_with("position_ids") ? "1, 2 …" : "0, 0 …"));
      }
    } else if (name == kDecoder) {
      decoder = file.float_tensor(own);
    } else if (name == kDecoderBias) {
      decoder_bias = file.float_tensor(own);
    } else {
      weights.state.emplace_back(name, file.float_tensor(own));
    }
  }
  check_copies(weights, decoder, decoder_bias);
  for (const auto& entry : weights.state) weights.numbers += entry.second.count();
  if (!files.sharded()) know(directory, files.files().front());
  return weights;
}

std::int64_t drop_spare_rows(BertWeights& weights, std::int64_t pieces) {
  std::int64_t dropped = 0;
  for (auto& [name, tensor] : weights.state) {
    if (name != kWords && name != kBias) continue;
    if (tensor.shape().rank() == 0 || tensor.dim(0) <= pieces) continue;
    dropped = tensor.dim(0) - pieces;
    tensor = tensor.rows(0, pieces);
  }
  return dropped;
}

void add_sinusoids(BertWeights& weights, const Json& json, const BertConfig& c) {
  if (c.family != BertFamily::distilbert || !json.value("sinusoidal_pos_embds", false)) return;
  if (find(weights.state, kPositions)) return;
  try {
    Initialiser::within(weights.numbers, 1).require_table(c.max_position_embeddings, c.hidden_size);
  } catch (const TooLarge& e) {
    throw DataError(weights.path, 0, e.what());
  }
  weights.state.emplace_back(kPositions, sinusoid(c.max_position_embeddings, c.hidden_size));
  weights.numbers += c.max_position_embeddings * c.hidden_size;
}

void drop_unused(BertWeights& weights, const StateEntries& network) {
  std::set<std::string, std::less<>> known;
  for (const StateEntry& entry : network) known.emplace(entry.name);
  std::vector<std::string> unused;
  for (const auto& entry : weights.state) {
    if (known.contains(entry.first)) continue;
    unused.push_back("'" + name_in_file(weights, entry.first) + "'");
  }
  if (unused.empty()) return;
  std::erase_if(weights.state, [&](const auto& entry) { return !known.contains(entry.first); });
  weights.notes.push_back(
      fmt::format("{}: {} tensors have no place in the network and are not used: {}", weights.path,
                  unused.size(), listed(unused)));
}

void name_as_in_file(StateEntries& entries, BertWeights& weights) {
  for (StateEntry& entry : entries) entry.name = name_in_file(weights, entry.name);
  for (auto& [name, tensor] : weights.state) name = name_in_file(weights, name);
}

}  // namespace qkv
