#include "qkv/systems/translation_decoding.h"

#include <algorithm>

#include "qkv/base/error.h"
#include "qkv/decode/rnn_decoder.h"

namespace qkv {
namespace {

std::unique_ptr<StepModel> decoder_of(const Transformer& network,
                                      const TransformerDecoderOptions& options) {
  return std::make_unique<TransformerDecoder>(network, options);
}

std::unique_ptr<StepModel> decoder_of(const RnnTranslator& network,
                                      const TransformerDecoderOptions& options) {
  if (options.source_eos < 0) fail("a recurrent translator ends its sources");
  if (options.cache != CacheOptions{}) {
    fail("a recurrent translator keeps states, no cache with a precision or a window");
  }
  return std::make_unique<RnnDecoder>(network, options.source_eos);
}

}  // namespace

std::unique_ptr<StepModel> decoder_of(const TranslationModel& model,
                                      const TransformerDecoderOptions& options) {
  return std::visit([&](const auto& network) { return decoder_of(network, options); },
                    model.network);
}

void set_special_tokens(const TranslationModel& model, SearchOptions& options) {
  const TranslationTokens tokens = model.tokens();
  options.bos = tokens.start;
  options.eos = tokens.end;
  options.suppressed = tokens.never;
}

std::vector<std::string> translate_tokens(const TranslationModel& model,
                                          std::span<const Tokens> sources,
                                          BatchTranslatorOptions options) {
  set_special_tokens(model, options.search);
  const auto decoder = decoder_of(model, {.source_eos = model.tokens().source_end});
  std::vector<std::string> lines;
  for (const Decoded& t : BatchTranslator(*decoder, options).translate(sources)) {
    std::span<const std::int32_t> written = t.best.front().tokens;
    written = written.subspan(std::min(written.size(), options.search.begin.size()));
    lines.push_back(model.target.decode(written));
  }
  return lines;
}

}  // namespace qkv
