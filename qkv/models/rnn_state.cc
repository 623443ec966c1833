// PyTorch's names for the weights of qkv/models/rnn_translator.h.
#include "qkv/models/rnn_translator.h"
#include "qkv/nn/torch_names.h"

namespace qkv {
namespace {

StateEntries entries_of(const RnnTranslator& m) {
  StateEntries entries;
  entries.push_back({"encoder.embedding.weight", {m.source_embedding}, StateLayout::same});
  list_state(m.encoder, "encoder.rnn.", entries);
  if (m.score.defined()) {
    const Additive score{.weight = m.score, .query = m.query.weight, .key = m.key.weight};
    list_state(score, "decoder.attention.", entries);
  } else {
    list_state(m.key, "decoder.attention.W.", entries);
  }
  list_state(m.local_hidden, "decoder.attention.W_p.", entries);
  list_state(m.local_place, "decoder.attention.v_p.", entries);
  entries.push_back({"decoder.embedding.weight", {m.target_embedding}, StateLayout::same});
  list_state(m.decoder, "decoder.rnn.", entries);
  for (std::size_t l = 0; l < m.bridge_h.size(); ++l) {
    list_state(m.bridge_h[l], "decoder.bridge_h." + std::to_string(l) + ".", entries);
  }
  for (std::size_t l = 0; l < m.bridge_c.size(); ++l) {
    list_state(m.bridge_c[l], "decoder.bridge_c." + std::to_string(l) + ".", entries);
  }
  list_state(m.combine, "decoder.combine.", entries);
  list_state(m.output, "decoder.dense.", entries);
  return entries;
}

}  // namespace

StateDict state_dict(const RnnTranslator& model) { return read_state(entries_of(model)); }

void load_state_dict(RnnTranslator& model, const StateDict& state) {
  write_state(entries_of(model), state);
}

}  // namespace qkv
