#include "qkv/decode/rnn_decoder.h"

#include <vector>

#include "qkv/autograd/tape.h"
#include "qkv/base/error.h"

namespace qkv {
namespace {

class RnnState final : public HiddenRows {
 public:
  RnnState(const RnnDecoder& decoder, std::span<const Tokens* const> sources, bool with_attention)
      : HiddenRows(decoder.head()),
        decoder_(decoder),
        memory_(read(decoder, sources)),
        loop_(decoder.model(), memory_, 0),
        with_attention_(with_attention) {
    if (with_attention) loop_.watch();
  }

  void advance(std::span<const std::int32_t> parents,
               std::span<const std::int32_t> tokens) override {
    const NoRecording off;
    const std::vector<std::int64_t> rows(parents.begin(), parents.end());
    std::vector<std::int64_t> source;
    source.reserve(rows.size());
    for (const std::int64_t row : rows) {
      source.push_back(started_ ? source_[static_cast<std::size_t>(row)] : row);
    }
    source_ = std::move(source);
    started_ = true;
    loop_.reorder(rows);
    hidden_ = loop_(decoder_.model().target_products(tokens), source_);
  }

  std::span<const float> attention(std::int64_t row) const override {
    if (!with_attention_) return {};
    const Tensor& weights = loop_.weights();
    const std::int64_t length = memory_.segments.length(source_[static_cast<std::size_t>(row)]);
    return weights.values().subspan(static_cast<std::size_t>(row * weights.dim(1)),
                                    static_cast<std::size_t>(length));
  }

 private:
  static RnnMemory read(const RnnDecoder& decoder, std::span<const Tokens* const> sources) {
    const NoRecording off;
    Tokens ids;
    std::vector<std::int64_t> lengths;
    for (const Tokens* source : sources) {
      ids.insert(ids.end(), source->begin(), source->end());
      ids.push_back(decoder.source_eos());
      lengths.push_back(static_cast<std::int64_t>(source->size()) + 1);
    }
    return decoder.model().encode(ids, Segments(lengths));
  }

  const RnnDecoder& decoder_;
  const RnnMemory memory_;
  RnnLoop loop_;
  const bool with_attention_;
  bool started_ = false;
  std::vector<std::int64_t> source_;  // [rows]: whose continuation a row is
};

}  // namespace

RnnDecoder::RnnDecoder(const RnnTranslator& model, std::int32_t source_eos)
    : model_(model),
      source_eos_(source_eos),
      head_(model.output.weight, VocabularyMatrix::projection, model.output.bias) {}

std::unique_ptr<StepState> RnnDecoder::start(std::span<const Tokens* const> sources,
                                             bool with_attention) const {
  if (with_attention && !model_.config.attends()) {
    fail("a recurrent translator with one fixed vector has no attention to show");
  }
  const NoRecording off;
  return std::make_unique<RnnState>(*this, sources, with_attention);
}

}  // namespace qkv
