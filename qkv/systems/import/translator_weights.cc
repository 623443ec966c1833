#include <algorithm>
#include <set>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/io/weight_files.h"
#include "qkv/nn/torch_names.h"
#include "qkv/systems/import/fields.h"
#include "qkv/systems/import/hf_translator.h"
#include "qkv/systems/weights_file.h"
#include "qkv/tensor/numbers.h"

namespace qkv {
namespace {

constexpr const char* kPlaces[] = {kSourcePlaces, kTargetPlaces};

void list_attention(const MultiHead& m, const std::string& prefix, StateEntries& entries) {
  list_state(m.q, prefix + "q_proj.", entries);
  list_state(m.k, prefix + "k_proj.", entries);
  list_state(m.v, prefix + "v_proj.", entries);
  list_state(m.o, prefix + "out_proj.", entries);
}

void list_feed_forward(const FeedForward& m, const std::string& prefix, StateEntries& entries) {
  list_state(m.inner, prefix + "fc1.", entries);
  list_state(m.outer, prefix + "fc2.", entries);
}

/// A matrix with its rows, or throws.
const Tensor& table(const ForeignTables& t, const std::string& name, std::int64_t width) {
  const auto found = t.tensors.find(name);
  if (found == t.tensors.end()) throw DataError(t.path, 0, fmt::format("has no tensor '{}'", name));
  const Shape& shape = found->second.shape();
  if (shape.rank() != 2 || shape[1] != width) {
    throw DataError(
        t.path, 0,
        fmt::format("tensor '{}' is {}, expected rows of {}", name, to_string(shape), width));
  }
  return found->second;
}

/// Names that files of different ages have for one table: the copies go when they are copies.
void join_copies(ForeignTables& t, const std::string& kept, const std::string& copy) {
  const auto other = t.tensors.find(copy);
  if (other == t.tensors.end() || kept == copy) return;
  const auto own = t.tensors.find(kept);
  if (own == t.tensors.end()) {
    t.tensors.emplace(kept, other->second);
  } else if (!same_numbers(own->second, other->second)) {
    throw DataError(
        t.path, 0,
        fmt::format("tensor '{}' is no copy of '{}', which config.json says it is", copy, kept));
  }
  t.tensors.erase(copy);
}

/// Positions that the file holds count before those that are computed.
void take_positions(ForeignTables& t, bool wanted, Transformer::Config& c) {
  const auto source = t.tensors.find(kPlaces[0]), target = t.tensors.find(kPlaces[1]);
  if (source == t.tensors.end() && target == t.tensors.end()) {
    if (!wanted) return;
    throw DataError(t.path, 0,
                    "has no tables of positions, without which this model is another one: "
                    "transformers leaves them out unless model._keys_to_ignore_on_save = None "
                    "stands before save_pretrained(); save it again so");
  }
  if (source == t.tensors.end() || target == t.tensors.end()) {
    throw DataError(t.path, 0, "has positions of one side alone");
  }
  c.positions = PositionKind::learned;
}

/// Whether the last row of the table that targets begin with stands for nothing but that beginning.
bool has_pad(const ForeignTables& t, const ForeignTranslator& s) {
  const Tensor& rows = table(t, t.target_table, s.network.width);
  const std::int64_t last = rows.dim(0) - 1;
  const auto row = rows.rows(last, last + 1).values();
  return s.marian && s.tokens.start == s.pad && s.pad == s.network.target_vocabulary - 1 &&
         s.pad <= last &&
         std::ranges::all_of(rows.rows(s.pad, s.pad + 1).values(),
                             [](float x) { return x == 0; }) &&
         !row.empty();
}

/// Whether an export added this row, so that both languages' tables have as many.
bool is_filler(const ForeignTables& t, std::int64_t row) {
  const auto bias = t.tensors.find(kLogitsBias);
  if (bias == t.tensors.end() || number(bias->second, row) != static_cast<double>(kNeverBias)) {
    return false;
  }
  return std::ranges::all_of(t.tensors.at(t.target_table).rows(row, row + 1).values(),
                             [](float x) { return x == 0; });
}

/// Keeps the first `rows` of a table, of the output and its bias.
void keep_rows(ForeignTables& t, const std::string& name, std::int64_t rows) {
  const auto found = t.tensors.find(name);
  if (found == t.tensors.end()) return;
  Tensor& tensor = found->second;
  if (name == kLogitsBias) {
    Tensor flat = tensor.reshaped({tensor.count(), 1});
    if (flat.dim(0) > rows) tensor = flat.rows(0, rows).clone().reshaped({1, rows});
  } else if (tensor.dim(0) > rows) {
    tensor = tensor.rows(0, rows);
  }
}

}  // namespace

StateEntries translator_entries(const Transformer& m, bool marian) {
  StateEntries entries;
  const Transformer::Config& c = m.config;
  entries.push_back(
      {c.share_embeddings ? kSharedTable : kSourceTable, {m.source_embedding}, StateLayout::same});
  entries.push_back({kTargetTable, {m.target_embedding}, StateLayout::same});
  entries.push_back({kPlaces[0], {m.source_positions}, StateLayout::same});
  entries.push_back({kPlaces[1], {m.target_positions}, StateLayout::same});
  entries.push_back({kOutputTable, {m.output_weight}});
  if (marian) entries.push_back({kLogitsBias, {m.output_bias}, StateLayout::row});
  for (std::size_t i = 0; i < m.encoder.size(); ++i) {
    const EncoderLayer& layer = m.encoder[i];
    const std::string at = fmt::format("model.encoder.layers.{}.", i);
    list_attention(layer.self, at + "self_attn.", entries);
    list_state(layer.norm1, at + "self_attn_layer_norm.", entries);
    list_feed_forward(layer.feed_forward, at, entries);
    list_state(layer.norm2, at + "final_layer_norm.", entries);
  }
  for (std::size_t i = 0; i < m.decoder.size(); ++i) {
    const DecoderLayer& layer = m.decoder[i];
    const std::string at = fmt::format("model.decoder.layers.{}.", i);
    list_attention(layer.self, at + "self_attn.", entries);
    list_state(layer.norm1, at + "self_attn_layer_norm.", entries);
    list_attention(layer.cross, at + "encoder_attn.", entries);
    list_state(layer.norm2, at + "encoder_attn_layer_norm.", entries);
    list_feed_forward(layer.feed_forward, at, entries);
    list_state(layer.norm3, at + "final_layer_norm.", entries);
  }
  list_state(m.encoder_norm, "model.encoder.layer_norm.", entries);
  list_state(m.decoder_norm, "model.decoder.layer_norm.", entries);
  return entries;
}

ForeignTables read_translator_tables(const ModelDirectory& directory, ForeignTranslator& s) {
  ForeignTables t;
  const WeightFiles files(directory.path());
  t.path = files.path();
  s.notes.insert(s.notes.end(), files.notes().begin(), files.notes().end());
  for (const std::string& name : files.names()) {
    if (name.ends_with("embed_positions.weights")) continue;  // computed, M2M100's of old files
    t.tensors.emplace(name, files.file_of(name).float_tensor(name));
  }
  if (!files.sharded()) know(directory, files.files().front());
  Transformer::Config& c = s.network;
  if (c.share_embeddings) {
    join_copies(t, kSharedTable, kSourceTable);
    join_copies(t, kSharedTable, kTargetTable);
  }
  t.source_table = c.share_embeddings ? kSharedTable : kSourceTable;
  t.target_table = c.share_embeddings ? kSharedTable : kTargetTable;
  if (c.tie_output) join_copies(t, t.target_table, kOutputTable);
  t.output = c.tie_output ? t.target_table : kOutputTable;
  c.output_bias = t.tensors.contains(kLogitsBias);
  take_positions(t, s.tables, c);
  for (const auto& [name, rows] :
       {std::pair{t.source_table, c.source_vocabulary}, std::pair{t.output, c.target_vocabulary}}) {
    const std::int64_t there = table(t, name, c.width).dim(0);
    if (there < rows) {
      throw DataError(
          t.path, 0,
          fmt::format("tensor '{}' has {} rows, config.json says {}", name, there, rows));
    }
  }
  t.without_pad = has_pad(t, s);
  if (t.without_pad) {
    c.zero_start = true;
    s.tokens.start = s.tokens.end;  // which one does not matter
    std::erase(s.tokens.never, static_cast<std::int32_t>(s.pad));
    --c.target_vocabulary;
    if (c.share_embeddings || c.source_vocabulary == s.pad + 1) --c.source_vocabulary;
    while (!c.share_embeddings && c.target_vocabulary > 1 &&
           is_filler(t, c.target_vocabulary - 1)) {
      --c.target_vocabulary;
    }
  }
  return t;
}

Transformer translator_network(const ModelDirectory& directory, ForeignTables t,
                               ForeignTranslator& s) {
  Transformer::Config& c = s.network;
  keep_rows(t, t.source_table, c.source_vocabulary);
  keep_rows(t, t.target_table, c.target_vocabulary);
  keep_rows(t, t.output, c.target_vocabulary);
  keep_rows(t, kLogitsBias, c.target_vocabulary);
  if (c.positions == PositionKind::learned) {
    c.max_length = t.tensors.at(kPlaces[0]).dim(0);
    for (const char* name : kPlaces) {
      c.max_length = std::min(c.max_length, table(t, name, c.width).dim(0));
    }
    for (const char* name : kPlaces) keep_rows(t, name, c.max_length);
  }
  std::int64_t numbers = 0;
  for (const auto& entry : t.tensors) numbers += entry.second.count();
  Transformer network = network_within<Transformer>(directory, t.path, numbers,
                                                    static_cast<std::int64_t>(t.tensors.size()), c);
  const StateEntries entries = translator_entries(network, s.marian);
  std::set<std::string_view> known;
  for (const StateEntry& e : entries) {
    if (!e.parts.empty() && e.parts[0].defined()) known.insert(e.name);
  }
  StateDict state;
  std::vector<std::string> unused;
  for (const auto& [name, tensor] : t.tensors) {
    if (known.contains(name)) {
      state.emplace_back(name, tensor);
    } else {
      unused.push_back("'" + name + "'");
    }
  }
  if (!unused.empty()) {
    s.notes.push_back(
        fmt::format("{}: {} tensors have no place in the network and are not used: {}", t.path,
                    unused.size(), listed(unused)));
  }
  try {
    take_state(network, entries, state);
  } catch (const DataError&) {
    throw;
  } catch (const Error& e) {
    throw DataError(t.path, 0, e.what());
  }
  return network;
}

}  // namespace qkv
