#include "qkv/systems/import/bert_weights.h"

#include <algorithm>
#include <set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/weight_files.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

constexpr const char* kWords = "bert.embeddings.word_embeddings.weight";
constexpr const char* kBias = "cls.predictions.bias";
constexpr const char* kDecoder = "cls.predictions.decoder.weight";
constexpr const char* kDecoderBias = "cls.predictions.decoder.bias";

const Tensor* find(const StateDict& state, std::string_view name) {
  const auto found = std::find_if(state.begin(), state.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  return found == state.end() ? nullptr : &found->second;
}

[[noreturn]] void own_head(const std::string& path, const char* name, const char* other) {
  throw DataError(path, 0,
                  fmt::format("tensor '{}' is no copy of '{}'; a decoder of its own is not "
                              "supported",
                              name, other));
}

bool same_numbers(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::ranges::equal(a.values(), b.values());
}

/// The decoder of hidden words is the table of words: what the file says of it must agree.
void check_copies(BertWeights& weights, const Tensor& decoder, const Tensor& bias) {
  const Tensor *words = find(weights.state, kWords), *own = find(weights.state, kBias);
  if (decoder.defined() && words && !same_numbers(decoder, *words)) {
    own_head(weights.path, kDecoder, kWords);
  }
  if (!bias.defined()) return;
  if (!own) {
    weights.state.emplace_back(kBias, bias);  // some files hold this name alone
  } else if (!same_numbers(bias, *own)) {
    own_head(weights.path, kDecoderBias, kBias);
  }
}

}  // namespace

bool BertWeights::has(std::string_view name) const { return find(state, name) != nullptr; }

BertWeights read_bert_weights(const ModelDirectory& directory) {
  BertWeights weights;
  const WeightFiles files(directory.path());
  weights.path = files.path();
  weights.notes = files.notes();
  const bool bare = std::ranges::none_of(files.names(), [](const std::string& name) {
    return name.starts_with("bert.") || name.starts_with("cls.");
  });
  Tensor decoder, decoder_bias;
  for (const std::string& own : files.names()) {
    const SafetensorsFile& file = files.file_of(own);
    const std::string name = modern_bert_name((bare ? "bert." : "") + own);
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

std::vector<std::string> drop_unused(BertWeights& weights, const Bert& network) {
  std::set<std::string, std::less<>> known;
  for_each_parameter(network, [&](std::string_view path, const Tensor&) { known.emplace(path); });
  std::vector<std::string> unused;
  for (const auto& entry : weights.state) {
    if (!known.contains(entry.first)) unused.push_back("'" + entry.first + "'");
  }
  std::erase_if(weights.state, [&](const auto& entry) { return !known.contains(entry.first); });
  return unused;
}

}  // namespace qkv
