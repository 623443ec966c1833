// Text for a masked language model (Devlin et al. 2019): documents of sentences become sequences
// [CLS] a [SEP] or pairs [CLS] a [SEP] b [SEP], and some of their tokens are hidden. Everything is
// a pure function of (text, options, round): a run that stopped finds the same examples again.
//
// The rules are those of create_pretraining_data.py, https://github.com/google-research/bert.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/tensor/segments.h"

namespace qkv {

/// Sentences as numbers, end to end, and where each sentence and each document begins.
struct Documents {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> sentences = {0};  // offsets in ids, and the end: [sentences + 1]
  std::vector<std::int64_t> documents = {0};  // offsets in sentences, and the end
  std::int64_t unknown = 0;

  std::int64_t sentence_count() const { return static_cast<std::int64_t>(sentences.size()) - 1; }
  std::int64_t document_count() const { return static_cast<std::int64_t>(documents.size()) - 1; }
  std::span<const std::int32_t> sentence(std::int64_t i) const;
  /// "40,000 sentences in 12 documents, 1003855 tokens, 0 unknown"
  std::string summary() const;
};

/// A line is a sentence; a blank line ends a document, or with `by_line` every line does. Lines
/// without a token are left out. Throws Error when nothing is left.
Documents make_documents(std::span<const std::string> lines,
                         const std::function<std::vector<std::int32_t>(std::string_view)>& encode,
                         bool by_line, std::int32_t unknown = -1);

/// What masking needs to know of a vocabulary.
struct MaskVocabulary {
  std::int32_t cls = 0, sep = 0, mask = 0;
  std::int32_t size = 0;                // random words are drawn from all of it
  std::vector<std::uint8_t> continues;  // [size]: a piece inside a word; for whole words
};

struct MaskedTextOptions {
  std::int64_t max_length = 128;    // of a sequence, [CLS] and [SEP] included
  double share = 0.15;              // of all tokens, rounded, at least one
  std::int64_t most = 20;           // hidden tokens of a sequence; 0: no limit
  double masked = 0.8, kept = 0.1;  // of the hidden ones; the rest become random words
  bool whole_words = false;         // all pieces of a word or none
  bool pairs = false;               // two segments and whether the second follows
  double random_next = 0.5;         // of pairs
  double short_sequences = 0.1;     // share of sequences with a random, smaller length
  std::int64_t duplicates = 10;     // rounds until masks and pairs repeat; 0: never
  std::uint64_t seed = 1;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"share", "Share of the tokens that are hidden", between(0, 1), "mask-share"}, o.share);
    visit({"most", "Hidden tokens of a sequence, at most (0: no limit)", between(0, 1e9)}, o.most);
    visit({"whole_words", "All pieces of a word or none", {}, "whole-word"}, o.whole_words);
    visit({"pairs",
           "Pairs of segments, and whether the second follows (next sentence prediction)",
           {},
           "nsp"},
          o.pairs);
    visit({"max_length", "Tokens of a sequence, [CLS] and [SEP] included; the model's positions",
           between(4, 1 << 20), "length"},
          o.max_length);
    visit({"short_sequences", "Share of sequences of a random, smaller length", between(0, 1),
           "short"},
          o.short_sequences);
    visit(
        {"duplicates", "Epochs until the same words are hidden again (0: never)", between(0, 1e9)},
        o.duplicates);
  }
  /// Throws Error for values that make no sense.
  void check() const;
};

struct MaskedExample {
  std::vector<std::int32_t> ids, types;
  std::vector<std::int32_t> where, targets;  // which tokens are hidden, and what they were
  std::int32_t follows = -1;                 // 0: b follows a, 1: it does not, −1: no pair
};

/// Every sentence once (of a random pair, b comes on top; what is too long for a sequence is cut).
/// Sequences do not reach beyond a document.
std::vector<MaskedExample> masked_examples(const Documents& text, const MaskVocabulary& vocabulary,
                                           const MaskedTextOptions& options, std::int64_t round);

/// Hides tokens of a sequence whose ids are whole, by the draws of `key`.
void hide_tokens(MaskedExample& example, const MaskVocabulary& vocabulary,
                 const MaskedTextOptions& options, std::uint64_t key);

/// Examples packed; `where` counts rows of the batch.
struct MaskedBatch {
  std::vector<std::int32_t> ids, types;
  Segments segments;
  std::vector<std::int64_t> where;
  std::vector<std::int32_t> targets, follows;  // follows is empty without pairs
};
MaskedBatch pack(std::span<const MaskedExample> examples, std::span<const std::int64_t> index);

}  // namespace qkv
