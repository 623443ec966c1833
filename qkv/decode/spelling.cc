#include "qkv/decode/spelling.h"

#include <numeric>

#include "qkv/ops/shape.h"

namespace qkv {

TransformerDecoder spelling_model(const SpellingDecoder& decoder, const SoundStates& states) {
  DecoderStack stack{.layers = decoder.layers,
                     .norm = &decoder.norm,
                     .placement = NormPlacement::pre,
                     .max_source = StepModel::kUnlimited,
                     .max_target = StepModel::kUnlimited};
  const auto end = static_cast<std::int32_t>(decoder.output.weight.dim(1) - 1);
  stack.embed = [&decoder, end](std::span<const std::int32_t> ids,
                                std::span<const std::int32_t> places) {
    std::vector<std::int32_t> read(ids.begin(), ids.end());
    for (std::size_t i = 0; i < read.size(); ++i) {
      if (places[i] == 0 && read[i] == end) read[i] = end + 1;
    }
    return decoder.embed(read, places, 0.0);
  };
  stack.memory = [&states](std::span<const std::int32_t> ids, const Segments&) {
    const std::vector<std::int64_t> rows(ids.begin(), ids.end());
    return select_rows(states.rows, rows);
  };
  return {std::move(stack),
          VocabularyHead(decoder.output.weight, VocabularyMatrix::projection, decoder.output.bias),
          {.source_eos = -1, .attention_layer = -1}};
}

std::vector<Tokens> sound_sources(const SoundStates& states) {
  std::vector<Tokens> sources;
  for (std::int64_t b = 0; b < states.segments.count(); ++b) {
    Tokens rows(static_cast<std::size_t>(states.segments.length(b)));
    std::iota(rows.begin(), rows.end(), static_cast<std::int32_t>(states.segments.begin(b)));
    sources.push_back(std::move(rows));
  }
  return sources;
}

}  // namespace qkv
