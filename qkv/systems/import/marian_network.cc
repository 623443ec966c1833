#include <algorithm>
#include <set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/flat_yaml.h"
#include "qkv/io/npy.h"
#include "qkv/nn/state_dict.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/import/marian_npz.h"

namespace qkv {
namespace {

constexpr const char* kConfig = "special:model.yml";
constexpr std::int64_t kPositions = 1024;  // Marian computes as many as it needs; it cuts at 1000
constexpr double kEpsilon = 1e-6;          // of its layer norms; no setting says it

const Tensor& table(const MarianWeights& w, const std::string& name) {
  const auto found = w.tensors.find(name);
  if (found == w.tensors.end()) throw DataError(w.path, 0, fmt::format("has no '{}'", name));
  if (found->second.shape().rank() != 2) {
    throw DataError(w.path, 0, fmt::format("'{}' is no matrix", name));
  }
  return found->second;
}

std::int64_t whole(ForeignFields& f, std::string_view name) {
  const auto value = f.number(name);
  if (!value || !(*value >= 1 && *value <= 1 << 30)) f.refuse(name, "expected a size");
  return static_cast<std::int64_t>(*value);
}

/// Settings that make other networks than this.
void check_form(ForeignFields& f) {
  if (!f.has("type")) f.refuse("type", "is missing");
  f.only("type", {"transformer"});
  f.only("transformer-preprocess", {""});
  f.only("transformer-postprocess", {"dan"});
  f.only("transformer-postprocess-emb", {"d", ""});
  f.only("transformer-postprocess-top", {"", "d"});
  f.only("transformer-decoder-autoreg", {"self-attention"});
  f.only("transformer-ffn-depth", {2});
  f.only("transformer-decoder-ffn-depth", {0, 2});
  f.only("transformer-tied-layers", {Json::array()});
  f.only("input-types", {Json::array()});
  f.only("output-approx-knn", {Json::array()});
  f.only("lemma-dim-emb", {0});
  f.only("factors-dim-emb", {0});
  f.only("lemma-dependency", {""});
  for (const char* name :
       {"transformer-no-projection", "transformer-train-position-embeddings",
        "transformer-train-positions", "transformer-no-bias", "transformer-no-affine",
        "transformer-pool", "right-left", "ulr", "output-omit-bias"}) {
    f.only(name, {false});
  }
  // Of recurrent networks, of other decoders, of training, and what is derived from the rest.
  f.harmless({"dim-rnn",
              "enc-cell",
              "enc-type",
              "enc-cell-depth",
              "dec-cell",
              "dec-cell-base-depth",
              "dec-cell-high-depth",
              "skip",
              "layer-normalization",
              "special-vocab",
              "transformer-rnn-projection",
              "transformer-aan-activation",
              "transformer-aan-depth",
              "transformer-aan-nogate",
              "transformer-dim-aan",
              "transformer-depth-scaling",
              "transformer-dropout",
              "transformer-dropout-attention",
              "transformer-dropout-ffn",
              "bert-train-type-embeddings",
              "bert-type-vocab-size",
              "ulr-trainable-transformation",
              "ulr-dim-emb",
              "ulr-query-vectors",
              "ulr-keys-vectors",
              "factors-combine",
              "char-conv-filters-num",
              "char-conv-filters-widths",
              "char-highway",
              "char-stride",
              "original-type",
              "max-length",
              "version"});
}

Activation activation_of(ForeignFields& f) {
  const std::string name = f.text("transformer-ffn-activation").value_or("swish");
  if (name == "relu") return Activation::relu;
  if (name == "swish") return Activation::silu;
  if (name == "gelu") return Activation::quick_gelu;  // x · σ(1.702 x)
  f.refuse("transformer-ffn-activation", fmt::format("'{}' is not known here", name));
}

Transformer::Config config_of(ForeignFields& f, const MarianWeights& w) {
  check_form(f);
  const bool all = f.boolean("tied-embeddings-all").value_or(false);
  Transformer::Config c;
  c.share_embeddings = f.boolean("tied-embeddings-src").value_or(false) || all;
  c.tie_output = f.boolean("tied-embeddings").value_or(false) || all;
  const Tensor& source = table(w, c.share_embeddings ? "Wemb" : "encoder_Wemb");
  const Tensor& target = table(w, c.share_embeddings ? "Wemb" : "decoder_Wemb");
  c.source_vocabulary = source.dim(0);
  c.target_vocabulary = target.dim(0);
  const Json sizes = {c.source_vocabulary, c.target_vocabulary};
  f.only("dim-vocabs", {sizes});
  c.width = source.dim(1);
  f.only("dim-emb", {c.width});
  c.heads = whole(f, "transformer-heads");
  c.feed_forward = whole(f, "transformer-dim-ffn");
  f.only("transformer-decoder-dim-ffn", {0, c.feed_forward});
  c.encoder_layers = whole(f, "enc-depth");
  c.decoder_layers = whole(f, "dec-depth");
  c.activation = activation_of(f);
  c.norm = NormPlacement::post;
  c.sinusoid = Sinusoid::blocks;
  c.max_length = kPositions;
  c.dropout = 0;
  c.norm_eps = kEpsilon;
  c.zero_start = true;
  c.output_bias = true;
  return c;
}

void list_linear(const Linear& m, const std::string& at, const std::string& end,
                 StateEntries& entries) {
  entries.push_back({at + "_W" + end, {m.weight}, StateLayout::same});
  entries.push_back({at + "_b" + end, {m.bias}, StateLayout::row});
}

void list_norm(const LayerNorm& m, const std::string& at, StateEntries& entries) {
  entries.push_back({at + "_ln_scale", {m.weight}, StateLayout::row});
  entries.push_back({at + "_ln_bias", {m.bias}, StateLayout::row});
}

void list_attention(const MultiHead& m, const LayerNorm& norm, const std::string& at,
                    StateEntries& entries) {
  list_linear(m.q, at, "q", entries);
  list_linear(m.k, at, "k", entries);
  list_linear(m.v, at, "v", entries);
  list_linear(m.o, at, "o", entries);
  list_norm(norm, at + "_Wo", entries);
}

void list_feed_forward(const FeedForward& m, const LayerNorm& norm, const std::string& at,
                       StateEntries& entries) {
  list_linear(m.inner, at, "1", entries);
  list_linear(m.outer, at, "2", entries);
  list_norm(norm, at + "_ffn", entries);
}

StateEntries entries_of(const Transformer& m, const MarianWeights& w) {
  StateEntries e;
  const bool shared = m.config.share_embeddings;
  const std::string output = "decoder_ff_logit_out_";
  e.push_back({shared ? "Wemb" : "encoder_Wemb", {m.source_embedding}, StateLayout::same});
  e.push_back({"decoder_Wemb", {m.target_embedding}, StateLayout::same});
  // Newer versions keep it as [out, in].
  const bool turned = w.tensors.contains(output + "Wt");
  e.push_back({output + (turned ? "Wt" : "W"),
               {m.output_weight},
               turned ? StateLayout::linear : StateLayout::same});
  e.push_back({output + "b", {m.output_bias}, StateLayout::row});
  for (std::size_t i = 0; i < m.encoder.size(); ++i) {
    const EncoderLayer& layer = m.encoder[i];
    const std::string at = fmt::format("encoder_l{}", i + 1);
    list_attention(layer.self, layer.norm1, at + "_self", e);
    list_feed_forward(layer.feed_forward, layer.norm2, at + "_ffn", e);
  }
  for (std::size_t i = 0; i < m.decoder.size(); ++i) {
    const DecoderLayer& layer = m.decoder[i];
    const std::string at = fmt::format("decoder_l{}", i + 1);
    list_attention(layer.self, layer.norm1, at + "_self", e);
    list_attention(layer.cross, layer.norm2, at + "_context", e);
    list_feed_forward(layer.feed_forward, layer.norm3, at + "_ffn", e);
  }
  return e;
}

/// The layer whose first head says which source token a target token belongs to.
void set_alignment(ForeignFields& f, TranslateOptions& o) {
  o.layer = -1;
  o.head = 0;
  if (!f.has("transformer-guided-alignment-layer")) return;
  const Json& layer = f["transformer-guided-alignment-layer"];
  if (layer == "last") return;
  if (!layer.is_number_unsigned() || layer < 1 || layer > 1000) {
    f.refuse("transformer-guided-alignment-layer", "expected last, or the number of a layer");
  }
  o.layer = layer.get<std::int64_t>() - 1;
}

}  // namespace

MarianWeights MarianWeights::read(const Archive& archive) {
  MarianWeights w{.path = archive.path(), .tensors = {}, .config = {}};
  for (const std::string& member : archive.names()) {
    const std::string path = fmt::format("{}/{}", w.path, member);
    if (!member.ends_with(".npy")) throw DataError(path, 0, "is no array of NumPy");
    const std::string name = member.substr(0, member.size() - 4);
    const std::string bytes = archive.read(member);
    const NpyArray array = NpyArray::parse(bytes, path);
    if (!name.starts_with("special:")) {
      w.tensors.emplace(name, array.tensor(path));
    } else if (name == kConfig && array.type[1] == '1') {
      w.config = parse_flat_yaml(array.numbers.substr(0, array.numbers.find('\0')), path);
    } else {
      throw DataError(path, 0, "is not known here");
    }
  }
  if (w.config.is_null()) throw DataError(w.path, 0, fmt::format("has no '{}'", kConfig));
  return w;
}

Transformer marian_network(const MarianWeights& w, TranslateOptions& defaults,
                           std::vector<std::string>& notes) {
  ForeignFields f(w.config, fmt::format("{}/{}", w.path, kConfig));
  const Transformer::Config c = config_of(f, w);
  set_alignment(f, defaults);
  f.note_unknown(notes);
  std::int64_t numbers = 0;
  for (const auto& entry : w.tensors) numbers += entry.second.count();
  Transformer network;
  try {
    network = Transformer::make(
        Initialiser::within(numbers, static_cast<std::int64_t>(w.tensors.size())), c);
    const StateEntries entries = entries_of(network, w);
    write_state(entries, StateDict(w.tensors.begin(), w.tensors.end()));
  } catch (const Error& e) {
    throw DataError(w.path, 0, e.what());
  }
  return network;
}

}  // namespace qkv
