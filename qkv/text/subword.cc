#include "qkv/text/subword.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <sentencepiece_trainer.h>

#include "qkv/base/error.h"
#include "qkv/base/utf8.h"
#include "qkv/text/split.h"

namespace qkv {
namespace {

namespace sp = sentencepiece;

constexpr char32_t kSpacePiece = U'\u2581';  // how the library writes a space
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
  bool whole = false;
  try {
    whole = processor->LoadFromSerializedProto(bytes).ok() && processor->GetPieceSize() > 0;
  } catch (const std::exception&) {  // its table of pieces throws, at a piece without letters, say
  }
  if (!whole) {
    throw DataError(path, 0,
                    "not a whole SentencePiece model, or it has a piece without letters; copy or "
                    "train it again");
  }
  std::vector<char32_t> letters = {kSpacePiece};
  for (int i = 0; i < processor->GetPieceSize(); ++i) {
    const std::string& piece = processor->IdToPiece(i);
    if (piece.empty()) throw DataError(path, 0, fmt::format("piece {} has no letters", i));
    for (const CodePoint& c : code_points(piece)) letters.push_back(c.value);
  }
  std::sort(letters.begin(), letters.end());
  letters.erase(std::unique(letters.begin(), letters.end()), letters.end());
  Subword subword;
  subword.model_ = std::make_shared<const std::string>(std::move(bytes));
  subword.letters_ = std::make_shared<const std::vector<char32_t>>(std::move(letters));
  subword.processor_ = std::move(processor);
  return subword;
}

// A run of characters that are in no piece becomes one unknown token, but the library joins it a
// character at a time, which costs the square of its length. So long runs go in as one character.
struct Subword::Runs {
  std::string text;
  std::vector<std::string_view> whole;  // every run of the text, as it was
  struct Gap {
    std::size_t at = 0, bytes = 0;  // what is missing in `text`, and before which of its bytes
  };
  std::vector<Gap> gaps;
  bool shortened = false;
};

/// No character of the run is part of a piece, not even after the model's own normalisation.
bool Subword::is_unknown(std::string_view run) const {
  std::vector<std::string_view> distinct;
  for (const CodePoint& c : code_points(run)) distinct.push_back(c.bytes);
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  return std::ranges::all_of(distinct, [this](std::string_view c) {
    std::vector<int> ids;
    const sp::util::Status status = processor_->Encode(c, &ids);
    return status.ok() && !ids.empty() && ids.back() == unk();
  });
}

Subword::Runs Subword::shorten(std::string_view text) const {
  constexpr std::size_t kLong = 64;  // bytes; below it the square is nothing
  Runs runs;
  runs.text.reserve(text.size());
  std::string_view run;
  const auto flush = [&] {
    if (run.empty()) return;
    runs.whole.push_back(run);
    const bool cut = run.size() > kLong && is_unknown(run);
    const std::string_view kept = cut ? first_code_point(run).bytes : run;
    runs.text += kept;
    if (cut) runs.gaps.push_back({runs.text.size(), run.size() - kept.size()});
    runs.shortened = runs.shortened || cut;
    run = {};
  };
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    if (c.value == U' ' || std::binary_search(letters_->begin(), letters_->end(), c.value)) {
      flush();
      runs.text += c.bytes;
    } else {
      run = run.empty() ? c.bytes : std::string_view(run.data(), run.size() + c.bytes.size());
    }
    text.remove_prefix(c.bytes.size());
  }
  flush();
  return runs;
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
  const std::string plain = plain_spaces(text);
  const Runs runs = has_bytes() ? Runs{} : shorten(plain);
  std::vector<int> ids;
  const sp::util::Status status = processor_->Encode(runs.shortened ? runs.text : plain, &ids);
  if (!status.ok()) fail("tokeniser: cannot encode: {}", reason_of(status));
  return ids;
}

std::vector<std::string> Subword::pieces(std::string_view text) const {
  const std::string plain = plain_spaces(text);
  const Runs runs = has_bytes() ? Runs{} : shorten(plain);
  std::vector<std::string> pieces;
  const sp::util::Status status = processor_->Encode(runs.shortened ? runs.text : plain, &pieces);
  if (!status.ok()) fail("tokeniser: cannot encode: {}", reason_of(status));
  if (!runs.shortened) return pieces;
  // A run lies within one piece, so the runs of the pieces are those of the text, in its order.
  std::size_t next = 0;
  for (std::string& piece : pieces) {
    std::string restored;
    bool inside = false;
    for (const CodePoint& c : code_points(piece)) {
      const bool known = std::binary_search(letters_->begin(), letters_->end(), c.value);
      if (known) restored += c.bytes;
      if (!known && !inside && next < runs.whole.size()) restored += runs.whole[next++];
      inside = !known;
    }
    piece = std::move(restored);
  }
  return pieces;
}

std::vector<SubwordPiece> Subword::traced(std::string_view text) const {
  const Runs runs = has_bytes() ? Runs{} : shorten(text);
  const sp::ImmutableSentencePieceText encoded =
      processor_->EncodeAsImmutableProto(runs.shortened ? runs.text : text);
  std::size_t next = 0, missing = 0;
  const auto in_text = [&](std::size_t at) {  // of rising places
    while (next < runs.gaps.size() && runs.gaps[next].at <= at) missing += runs.gaps[next++].bytes;
    return at + missing;
  };
  std::vector<SubwordPiece> pieces;
  pieces.reserve(encoded.pieces_size());
  for (const auto& piece : encoded.pieces()) {
    const std::size_t begin = in_text(piece.begin());
    pieces.push_back(
        {piece.piece(), static_cast<std::int32_t>(piece.id()), begin, in_text(piece.end())});
  }
  return pieces;
}

std::string Subword::join(const std::vector<std::string>& pieces) const {
  std::string text;
  const sp::util::Status status = processor_->Decode(pieces, &text);
  if (!status.ok()) fail("tokeniser: cannot decode: {}", reason_of(status));
  return text;
}

bool Subword::has_bytes() const {
  return size() > 0 && processor_->IsByte(processor_->PieceToId("<0x00>"));
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
