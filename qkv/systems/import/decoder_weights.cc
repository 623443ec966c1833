#include "qkv/systems/import/decoder_weights.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/directory.h"
#include "qkv/io/weight_files.h"
#include "qkv/nn/torch_names.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/weights_file.h"

namespace qkv {
namespace {

constexpr const char* kHead = "lm_head.weight";

struct Lists {
  StateEntries entries;

  void add(const std::string& name, std::vector<Tensor> parts,
           StateLayout layout = StateLayout::linear) {
    entries.push_back({name, std::move(parts), layout});
  }
  void linear(const std::string& name, const Linear& m) {
    add(name + ".weight", {m.weight});
    add(name + ".bias", {m.bias});
  }
  /// GPT-2's: [in out].
  void columns(const std::string& name, const std::vector<const Linear*>& parts) {
    std::vector<Tensor> weights, biases;
    for (const Linear* m : parts) weights.push_back(m->weight), biases.push_back(m->bias);
    add(name + ".weight", std::move(weights), StateLayout::columns);
    add(name + ".bias", std::move(biases));
  }
  void norm(const std::string& name, const NormBlock& m) {
    if (const auto* rms = std::get_if<RmsNorm>(&m.kind))
      return add(name + ".weight", {rms->weight});
    list_state(std::get<LayerNorm>(m.kind), name + ".", entries);
  }
};

/// Of GPT-2 and of GPT-Neo, which has maps of its own for q, k and v.
StateEntries gpt_entries(const Mpt& m, bool neo) {
  Lists lists;
  lists.add("transformer.wte.weight", {m.wte}, StateLayout::same);
  lists.add("transformer.wpe.weight", {m.wpe}, StateLayout::same);
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const MptBlock& block = m.blocks[i];
    const MultiHead& heads = block.attn.heads;
    const auto& ffn = std::get<FeedForward>(block.ffn.kind);
    const std::string name = fmt::format("transformer.h.{}.", i);
    lists.norm(name + "ln_1", block.norm_1);
    lists.norm(name + "ln_2", block.norm_2);
    if (neo) {
      lists.linear(name + "attn.attention.q_proj", heads.q);
      lists.linear(name + "attn.attention.k_proj", heads.k);
      lists.linear(name + "attn.attention.v_proj", heads.v);
      lists.linear(name + "attn.attention.out_proj", heads.o);
      lists.linear(name + "mlp.c_fc", ffn.inner);
      lists.linear(name + "mlp.c_proj", ffn.outer);
    } else {
      lists.columns(name + "attn.c_attn", {&heads.q, &heads.k, &heads.v});
      lists.columns(name + "attn.c_proj", {&heads.o});
      lists.columns(name + "mlp.c_fc", {&ffn.inner});
      lists.columns(name + "mlp.c_proj", {&ffn.outer});
    }
  }
  lists.norm("transformer.ln_f", m.norm_f);
  lists.add(kHead, {m.lm_head}, StateLayout::same);
  return std::move(lists.entries);
}

StateEntries llama_entries(const Mpt& m) {
  Lists lists;
  lists.add("model.embed_tokens.weight", {m.wte}, StateLayout::same);
  for (std::size_t i = 0; i < m.blocks.size(); ++i) {
    const MptBlock& block = m.blocks[i];
    const MultiHead& heads = block.attn.heads;
    const auto& ffn = std::get<GatedFeedForward>(block.ffn.kind);
    const std::string name = fmt::format("model.layers.{}.", i);
    lists.norm(name + "input_layernorm", block.norm_1);
    lists.linear(name + "self_attn.q_proj", heads.q);
    lists.linear(name + "self_attn.k_proj", heads.k);
    lists.linear(name + "self_attn.v_proj", heads.v);
    lists.linear(name + "self_attn.o_proj", heads.o);
    lists.norm(name + "post_attention_layernorm", block.norm_2);
    lists.linear(name + "mlp.gate_proj", ffn.gate);
    lists.linear(name + "mlp.up_proj", ffn.up);
    lists.linear(name + "mlp.down_proj", ffn.down);
  }
  lists.norm("model.norm", m.norm_f);
  lists.add(kHead, {m.lm_head}, StateLayout::same);
  return std::move(lists.entries);
}

/// Where a file holds q, k and v by themselves (llm-foundry with fused_qkv false).
StateEntries unfused(StateEntries entries) {
  constexpr std::string_view kFused = "Wqkv.";
  StateEntries parted;
  for (StateEntry& entry : entries) {
    const std::size_t at = entry.name.find(kFused);
    if (at == std::string::npos) {
      parted.push_back(std::move(entry));
      continue;
    }
    for (std::size_t i = 0; i < entry.parts.size(); ++i) {
      const std::string name =
          entry.name.substr(0, at) + "W" + "qkv"[i] + "." + entry.name.substr(at + kFused.size());
      parted.push_back({name, {entry.parts[i]}});
    }
  }
  return parted;
}

/// Triangles and wave lengths that some versions kept among the weights.
bool is_buffer(std::string_view name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") ||
         name.ends_with(".attn.attention.bias") || name.ends_with(".attn.attention.masked_bias") ||
         name.ends_with(".rotary_emb.inv_freq");
}

/// The body's prefix, which the oldest files lack.
std::string prefix_of(DecoderFamily family) {
  return family == DecoderFamily::llama ? "model." : "transformer.";
}

struct Weights {
  StateDict state;
  Tensor copy;  // of an output matrix that is no parameter
  std::int64_t numbers = 0;
};

Weights read(const WeightFiles& files, const ForeignDecoder& decoder) {
  const std::string prefix = prefix_of(decoder.family);
  const bool bare = std::ranges::none_of(
      files.names(), [&](const std::string& name) { return name.starts_with(prefix); });
  Weights weights;
  for (const std::string& own : files.names()) {
    if (is_buffer(own)) continue;
    const std::string name = bare && own != kHead ? prefix + own : own;
    const Tensor tensor = files.file_of(own).float_tensor(own);
    if (name == kHead && !decoder.network.parts.untied) {
      weights.copy = tensor;
      continue;
    }
    weights.numbers += tensor.count();
    weights.state.emplace_back(name, tensor);
  }
  return weights;
}

/// Takes out what has no place and says so.
void drop_unused(const StateEntries& entries, const std::string& path, Weights& weights,
                 std::vector<std::string>& notes) {
  std::set<std::string_view> places;
  for (const StateEntry& e : entries) {
    if (!e.parts.empty() && e.parts[0].defined()) places.insert(e.name);
  }
  const auto placed = [&](const auto& pair) { return places.contains(pair.first); };
  std::vector<std::string> unused;
  for (const auto& pair : weights.state) {
    if (!placed(pair)) unused.push_back("'" + pair.first + "'");
  }
  if (unused.empty()) return;
  std::erase_if(weights.state, [&](const auto& pair) { return !placed(pair); });
  notes.push_back(
      fmt::format("{}: tensors that the model has no place for: {}", path, listed(unused)));
}

}  // namespace

StateEntries decoder_entries(const Mpt& network, DecoderFamily family) {
  if (family == DecoderFamily::llama) return llama_entries(network);
  if (family == DecoderFamily::mpt) return state_entries(network);
  return gpt_entries(network, family == DecoderFamily::gpt_neo);
}

Mpt read_decoder_weights(const ModelDirectory& directory, ForeignDecoder& decoder) {
  const WeightFiles files(directory.path());
  decoder.notes.insert(decoder.notes.end(), files.notes().begin(), files.notes().end());
  Weights weights = read(files, decoder);
  // One tensor of a file may be three of the network, and heads need none.
  const std::int64_t tensors = 3 * std::ssize(weights.state);
  Mpt network =
      network_within<Mpt>(directory, files.path(), weights.numbers, tensors, decoder.network);
  StateEntries entries = decoder_entries(network, decoder.family);
  if (std::ranges::any_of(weights.state, [](const auto& pair) {
        return pair.first.ends_with(".attn.Wq.weight");
      })) {
    entries = unfused(std::move(entries));
  }
  drop_unused(entries, files.path(), weights, decoder.notes);
  try {
    take_state(network, entries, weights.state);
  } catch (const Error& e) {
    throw DataError(files.path(), 0, e.what());
  }
  if (weights.copy.defined() &&
      (weights.copy.shape() != network.wte.shape() ||
       !std::ranges::equal(weights.copy.values(), network.wte.values()))) {
    throw DataError(files.path(), 0,
                    fmt::format("tensor '{}' is no copy of the embeddings, but {} says that they "
                                "are tied; set tie_word_embeddings to false",
                                kHead, directory.config_path()));
  }
  if (!files.sharded()) know(directory, files.files().front());
  return network;
}

}  // namespace qkv
