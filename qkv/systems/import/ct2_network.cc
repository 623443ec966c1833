#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/nn/state_dict.h"
#include "qkv/systems/import/ct2_translator.h"
#include "qkv/systems/import/fields.h"

namespace qkv {
namespace {

constexpr std::int64_t kPositions = 1024;  // rows of a table that the file does not hold
constexpr const char* kEncodings = "position_encodings/encodings";

[[noreturn]] void refuse(const Ct2File& file, std::string_view name, std::string_view reason) {
  throw DataError(file.path(), 0, fmt::format("variable '{}': {}", name, reason));
}

/// Old files call the only table of the sources "embeddings", newer ones "embeddings_0".
std::string source_table(const Ct2File& file) {
  return file.contains("encoder/embeddings/weight") ? "encoder/embeddings/weight"
                                                    : "encoder/embeddings_0/weight";
}

std::int64_t side(const Ct2File& file, const std::string& name, std::size_t i) {
  const auto& shape = file.shape(name);
  if (shape.size() != 2) refuse(file, name, "is no matrix");
  return shape[i];
}

std::int64_t layers_of(const Ct2File& file, std::string_view stack) {
  std::int64_t count = 0;
  while (file.contains(fmt::format("{}/layer_{}/ffn/linear_0/weight", stack, count))) ++count;
  return count;
}

/// A scalar that both stacks must have alike; `fallback` where the file is silent.
double both(const Ct2File& file, const char* name, double fallback) {
  const double encoder = file.scalar(std::string("encoder/") + name).value_or(fallback);
  const std::string other = std::string("decoder/") + name;
  if (file.scalar(other).value_or(fallback) != encoder) {
    refuse(file, other, "is not the encoder's; this program has no such network");
  }
  return encoder;
}

bool scales(const Ct2File& file, const char* stack, std::int64_t width) {
  const std::string name = fmt::format("{}/scale_embeddings", stack);
  const auto scale = file.scalar(name);
  const double root = std::sqrt(static_cast<double>(width));
  if (!scale) return true;
  if (file.type(name) == "int8") return *scale != 0;
  if (*scale == 1) return false;
  if (std::abs(*scale - root) > 1e-4 * root) {
    refuse(file, name, fmt::format("is {}, neither 1 nor the root of the width", *scale));
  }
  return true;
}

Activation activation_of(const Ct2File& file) {
  constexpr Activation known[] = {Activation::relu,   Activation::gelu_tanh,  Activation::silu,
                                  Activation::gelu,   Activation::quick_gelu, Activation::tanh,
                                  Activation::sigmoid};
  const double number = both(file, "activation", 0);
  for (std::size_t i = 0; i < std::size(known); ++i) {
    if (number == static_cast<double>(i)) return known[i];
  }
  refuse(file, "encoder/activation", fmt::format("is {}, which is not known here", number));
}

std::int64_t heads_of(const Ct2File& file) {
  const double fallback = file.network() == "TransformerBig" ? 16 : 8;
  const double heads = both(file, "num_heads", fallback);
  if (!(heads >= 1 && heads <= 1024)) refuse(file, "encoder/num_heads", "is no number of heads");
  return static_cast<std::int64_t>(heads);
}

Transformer::Config config_of(const Ct2File& file, double norm_eps) {
  const std::string_view known[] = {"TransformerSpec", "TransformerBase", "TransformerBig"};
  if (std::ranges::find(known, file.network()) == std::end(known)) {
    throw DataError(file.path(), 0,
                    fmt::format("holds a network '{}'; this program reads TransformerSpec, the "
                                "encoder-decoder",
                                file.network()));
  }
  const std::string source = source_table(file), target = "decoder/embeddings/weight";
  Transformer::Config c;
  c.source_vocabulary = side(file, source, 0);
  c.target_vocabulary = side(file, target, 0);
  c.width = side(file, source, 1);
  c.heads = heads_of(file);
  c.encoder_layers = layers_of(file, "encoder");
  c.decoder_layers = layers_of(file, "decoder");
  if (c.encoder_layers == 0) throw DataError(file.path(), 0, "has no layers");
  c.feed_forward = side(file, "encoder/layer_0/ffn/linear_0/weight", 0);
  c.norm = both(file, "pre_norm", 1) != 0 ? NormPlacement::pre : NormPlacement::post;
  c.final_norm = file.contains("encoder/layer_norm/gamma");
  if (c.final_norm != file.contains("decoder/layer_norm/gamma")) {
    refuse(file, "encoder/layer_norm/gamma", "is there in one stack alone");
  }
  c.activation = activation_of(file);
  c.sinusoid = Sinusoid::blocks;
  c.first_position = 1;
  c.max_length = kPositions;
  const std::string places[] = {std::string("encoder/") + kEncodings,
                                std::string("decoder/") + kEncodings};
  if (file.contains(places[0]) != file.contains(places[1])) {
    refuse(file, places[0], "is there in one stack alone");
  }
  if (file.contains(places[0])) {
    c.positions = PositionKind::learned;
    c.max_length = std::min(side(file, places[0], 0), side(file, places[1], 0));
  }
  c.dropout = 0;
  c.norm_eps = norm_eps;
  c.share_embeddings = file.same(source, target) && c.source_vocabulary == c.target_vocabulary;
  c.scale_embedding = scales(file, "encoder", c.width);
  if (scales(file, "decoder", c.width) != c.scale_embedding) {
    refuse(file, "decoder/scale_embeddings", "is not the encoder's");
  }
  c.zero_start = file.scalar("decoder/start_from_zero_embedding").value_or(0) != 0;
  c.tie_output = file.same("decoder/projection/weight", target);
  c.output_bias = file.contains("decoder/projection/bias");
  return c;
}

void list_linear(std::vector<const Linear*> parts, const std::string& at, StateEntries& entries) {
  StateEntry weight{at + "/weight", {}}, bias{at + "/bias", {}};
  for (const Linear* part : parts) {
    weight.parts.push_back(part->weight);
    bias.parts.push_back(part->bias);
  }
  entries.push_back(std::move(weight));
  entries.push_back(std::move(bias));
}

void list_norm(const LayerNorm& m, const std::string& at, StateEntries& entries) {
  entries.push_back({at + "/layer_norm/gamma", {m.weight}});
  entries.push_back({at + "/layer_norm/beta", {m.bias}});
}

void list_self(const MultiHead& m, const LayerNorm& norm, const std::string& at,
               StateEntries& entries) {
  list_linear({&m.q, &m.k, &m.v}, at + "/linear_0", entries);
  list_linear({&m.o}, at + "/linear_1", entries);
  list_norm(norm, at, entries);
}

void list_cross(const MultiHead& m, const LayerNorm& norm, const std::string& at,
                StateEntries& entries) {
  list_linear({&m.q}, at + "/linear_0", entries);
  list_linear({&m.k, &m.v}, at + "/linear_1", entries);
  list_linear({&m.o}, at + "/linear_2", entries);
  list_norm(norm, at, entries);
}

void list_feed_forward(const FeedForward& m, const LayerNorm& norm, const std::string& at,
                       StateEntries& entries) {
  list_linear({&m.inner}, at + "/linear_0", entries);
  list_linear({&m.outer}, at + "/linear_1", entries);
  list_norm(norm, at, entries);
}

StateEntries entries_of(const Ct2File& file, const Transformer& m) {
  StateEntries e;
  e.push_back({source_table(file), {m.source_embedding}, StateLayout::same});
  e.push_back({"decoder/embeddings/weight", {m.target_embedding}, StateLayout::same});
  e.push_back({std::string("encoder/") + kEncodings, {m.source_positions}, StateLayout::same});
  e.push_back({std::string("decoder/") + kEncodings, {m.target_positions}, StateLayout::same});
  e.push_back({"decoder/projection/weight", {m.output_weight}});
  e.push_back({"decoder/projection/bias", {m.output_bias}});
  for (std::size_t i = 0; i < m.encoder.size(); ++i) {
    const EncoderLayer& layer = m.encoder[i];
    const std::string at = fmt::format("encoder/layer_{}", i);
    list_self(layer.self, layer.norm1, at + "/self_attention", e);
    list_feed_forward(layer.feed_forward, layer.norm2, at + "/ffn", e);
  }
  for (std::size_t i = 0; i < m.decoder.size(); ++i) {
    const DecoderLayer& layer = m.decoder[i];
    const std::string at = fmt::format("decoder/layer_{}", i);
    list_self(layer.self, layer.norm1, at + "/self_attention", e);
    list_cross(layer.cross, layer.norm2, at + "/attention", e);
    list_feed_forward(layer.feed_forward, layer.norm3, at + "/ffn", e);
  }
  list_norm(m.encoder_norm, "encoder", e);
  list_norm(m.decoder_norm, "decoder", e);
  return e;
}

/// Variables beside the weights: known to be read above, or to change nothing with this value.
bool is_setting(const Ct2File& file, const std::string& name) {
  const std::string_view last = std::string_view(name).substr(name.rfind('/') + 1);
  constexpr std::string_view read[] = {
      "num_heads",       "pre_norm",        "activation",       "scale_embeddings",
      "alignment_layer", "alignment_heads", "embeddings_merge", "start_from_zero_embedding"};
  if (std::ranges::find(read, last) != std::end(read)) return true;
  if (name.ends_with("_scale") && file.contains(name.substr(0, name.size() - 6))) return true;
  constexpr std::string_view absent[] = {"alibi", "alibi_use_positive_positions", "scale_alibi",
                                         "multi_query_attention"};
  return std::ranges::find(absent, last) != std::end(absent) && file.scalar(name) == 0;
}

/// What a network without a bias has in its place.
Tensor zeros_like(const StateEntry& entry) {
  std::int64_t count = 0;
  for (const Tensor& part : entry.parts) count += part.count();
  return Tensor::zeros({count});
}

}  // namespace

Transformer ct2_network(const Ct2File& file, double norm_eps, std::vector<std::string>& notes) {
  const Transformer::Config c = config_of(file, norm_eps);
  Transformer network;
  const auto variables = static_cast<std::int64_t>(file.names().size());
  try {
    // Positions and biases may be the network's alone, all else is in the file.
    network = Transformer::make(
        Initialiser::within(2 * file.numbers() + 4 * c.max_length, 4 * variables), c);
  } catch (const Error& e) {
    throw DataError(file.path(), 0, e.what());
  }
  const StateEntries entries = entries_of(file, network);
  StateDict state;
  std::set<std::string> known;
  for (const StateEntry& entry : entries) {
    if (!entry.parts[0].defined()) continue;
    known.insert(entry.name);
    if (!file.contains(entry.name) && entry.name.ends_with("/bias")) {
      state.emplace_back(entry.name, zeros_like(entry));
      continue;
    }
    Tensor numbers = file.tensor(entry.name);
    if (entry.name.ends_with(kEncodings) && numbers.dim(0) > c.max_length) {
      numbers = numbers.rows(0, c.max_length);
    }
    state.emplace_back(entry.name, numbers);
  }
  for (const std::string& name : file.names()) {
    const bool shared = name == "decoder/embeddings/weight" || name == "decoder/projection/weight";
    if (known.contains(name) || shared || is_setting(file, name)) continue;
    refuse(file, name, "makes it another network than those that this program has");
  }
  try {
    take_state(network, entries, state);
  } catch (const DataError&) {
    throw;
  } catch (const Error& e) {
    throw DataError(file.path(), 0, e.what());
  }
  std::set<std::string_view> types;
  for (const StateEntry& entry : entries) {
    if (file.contains(entry.name)) types.insert(file.type(entry.name));
  }
  types.erase("float32");
  for (const std::string_view type : types) {
    notes.push_back(fmt::format("{}: {} weights are read as f32", file.path(), type));
  }
  return network;
}

}  // namespace qkv
