#include "qkv/text/subword.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <sentencepiece_trainer.h>

#include "qkv/base/error.h"
#include "qkv/text/split.h"

namespace qkv {
namespace {

namespace sp = sentencepiece;

constexpr std::size_t kLongestSentence = 1 << 16;

// Feeds sentences to the trainer, normalised on the way.
class Sentences : public sp::SentenceIterator {
 public:
  Sentences(std::span<const std::string> sentences, Normalisation how)
      : sentences_(sentences), how_(how) {
    prepare();
  }
  bool done() const override { return next_ >= sentences_.size(); }
  void Next() override {
    ++next_;
    prepare();
  }
  const std::string& value() const override { return value_; }
  sp::util::Status status() const override { return {}; }

 private:
  void prepare() {
    if (!done()) value_ = plain_spaces(normalise(sentences_[next_], how_));
  }

  std::span<const std::string> sentences_;
  Normalisation how_;
  std::size_t next_ = 0;
  std::string value_;
};

// "Internal: ./src/trainer_interface.cc(580) [condition] Reason." -> "Reason."
std::string reason_of(const sp::util::Status& status) {
  const std::string text = status.ToString();
  const std::size_t end = text.rfind("] ");
  const std::string reason = end == std::string::npos ? text : text.substr(end + 2);
  return reason.empty() ? text : reason;
}

bool has_text(const std::string& sentence) {
  return sentence.size() <= kLongestSentence && !split_spaces(sentence).empty();
}

// The library logs to stderr unless told not to, and only its trainer takes the setting.
void silence() {
  static const bool done = [] {
    sp::SentencePieceTrainer::Train({{"minloglevel", "3"}}).IgnoreError();
    return true;
  }();
  static_cast<void>(done);
}

}  // namespace

Subword Subword::train(const SubwordOptions& options, std::span<const std::string> sentences) {
  if (std::none_of(sentences.begin(), sentences.end(), has_text)) {
    fail("tokeniser: there is no text to learn sub-words from");
  }
  silence();
  // Text comes normalised by us: with the identity rule the model shows just what it was given, and
  // encoding does the same. All white space is one space: the library knows no other.
  const std::unordered_map<std::string, std::string> settings = {
      {"model_type", options.unigram ? "unigram" : "bpe"},
      {"vocab_size", std::to_string(options.vocabulary_size)},
      {"hard_vocab_limit", "false"},
      {"character_coverage", fmt::format("{}", options.coverage)},
      {"byte_fallback", options.byte_fallback ? "true" : "false"},
      {"normalization_rule_name", "identity"},
      {"max_sentence_length", std::to_string(kLongestSentence)},
      {"num_threads", "1"},  // sums of several threads would differ in their last bits
      {"pad_id", "0"},
      {"unk_id", "1"},
      {"bos_id", "2"},
      {"eos_id", "3"},
      {"pad_piece", "<pad>"},
      {"unk_piece", "<unk>"},
      {"bos_piece", "<bos>"},
      {"eos_piece", "<eos>"},
      {"unk_surface", "\u2047"},
      {"minloglevel", "3"}};
  Sentences feed(sentences, options.normalise);
  std::string model;
  const sp::util::Status status = sp::SentencePieceTrainer::Train(settings, &feed, &model);
  if (!status.ok()) {
    fail("tokeniser: cannot learn {} pieces from {} sentences: {}", options.vocabulary_size,
         sentences.size(), reason_of(status));
  }
  return from_model(std::move(model), "trained model");
}

Subword Subword::from_model(std::string bytes, std::string_view path) {
  silence();
  auto processor = std::make_shared<sp::SentencePieceProcessor>();
  const sp::util::Status status = processor->LoadFromSerializedProto(bytes);
  if (!status.ok() || processor->GetPieceSize() == 0) {
    throw DataError(path, 0, "not a whole SentencePiece model; copy or train it again");
  }
  Subword subword;
  subword.model_ = std::make_shared<const std::string>(std::move(bytes));
  subword.processor_ = std::move(processor);
  return subword;
}

std::int32_t Subword::size() const { return processor_->GetPieceSize(); }
std::int32_t Subword::pad() const { return processor_->pad_id(); }
std::int32_t Subword::unk() const { return processor_->unk_id(); }
std::int32_t Subword::bos() const { return processor_->bos_id(); }
std::int32_t Subword::eos() const { return processor_->eos_id(); }

const std::string& Subword::piece(std::int32_t id) const {
  if (id < 0 || id >= size()) fail("tokeniser: no piece {}, there are {}", id, size());
  return processor_->IdToPiece(id);
}

bool Subword::is_control(std::int32_t id) const { return processor_->IsControl(id); }
bool Subword::is_byte(std::int32_t id) const { return processor_->IsByte(id); }

std::vector<std::int32_t> Subword::encode(std::string_view text) const {
  std::vector<int> ids;
  const sp::util::Status status = processor_->Encode(plain_spaces(text), &ids);
  if (!status.ok()) fail("tokeniser: cannot encode: {}", reason_of(status));
  return ids;
}

std::vector<std::string> Subword::pieces(std::string_view text) const {
  std::vector<std::string> pieces;
  const sp::util::Status status = processor_->Encode(plain_spaces(text), &pieces);
  if (!status.ok()) fail("tokeniser: cannot encode: {}", reason_of(status));
  return pieces;
}

std::string Subword::decode(std::span<const std::int32_t> ids) const {
  for (const std::int32_t id : ids) static_cast<void>(piece(id));  // in range, or throws
  std::string text;
  const sp::util::Status status =
      processor_->Decode(std::vector<int>(ids.begin(), ids.end()), &text);
  if (!status.ok()) fail("tokeniser: cannot decode: {}", reason_of(status));
  return text;
}

}  // namespace qkv
