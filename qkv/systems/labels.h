// Taggers, classifiers and recognisers of intents as a user holds them: text in, labels out.
//
//   const auto t = qkv::Tagger::load("names");
//   for (const auto& span : t.tag("Paula Renn lives in Bonn").spans) …
//
// After load() nothing is written: any number of threads may ask one of them at once. A sentence
// gets the same answer whatever stands beside it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qkv/data/tag_scheme.h"
#include "qkv/systems/system.h"
#include "qkv/text/split.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

struct LabellerModel;  // labeller_model.h: what training makes

struct LabelOptions {
  std::optional<WordCut> words = {};   // how text is cut; unset: as in training
  TagScheme scheme = TagScheme::iob2;  // in which tags of spans are written
  std::int64_t batch_sentences = 64;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit(
        {"words", "How lines are cut; pair: two texts with a tab between; default: as in training"},
        o.words);
    visit({"scheme", "How tags of spans are written"}, o.scheme);
    visit({"batch_sentences", "Sentences a batch, at most", between(1, 1e6)}, o.batch_sentences);
  }
};

/// A phrase that tags name.
struct LabelledSpan {
  std::string type;
  std::int64_t begin = 0, end = 0;  // words
  std::string text;
  double score = 0;  // the mean of its words' probabilities of their tags
  /// Characters (code points) of the line that it was cut from; −1 of words that came cut.
  std::int64_t text_begin = -1, text_end = -1;
};

/// What a system says of one sentence; parts that it has no head for stay empty.
struct LabelledSentence {
  std::vector<std::string> words;
  std::vector<std::string> tags;    // one a word
  double tag_score = 0;             // log p of all tags
  bool has_spans = false;           // whether the tags are of spans
  std::vector<LabelledSpan> spans;  // of other tags runs of the same one
  std::string label;                // the only one, several between commas, or a number as text
  double probability = 0;           // of the only label
  std::vector<std::pair<std::string, double>> scores;  // the probability of every label
  std::optional<std::vector<std::string>> labels;      // of a model that gives several
  std::optional<double> value;                         // of a regression
  std::int64_t cut = 0;   // words at the end that the model could not hold; of whole texts pieces
  std::int64_t held = 0;  // … and how many it could
};

/// What the three have in common.
class LabelSystem {
 public:
  void save(const std::filesystem::path& directory) const;
  /// Whatever the system says of each text.
  std::vector<LabelledSentence> label(std::span<const std::string> texts,
                                      const LabelOptions& options = {}) const;
  /// The same of sentences that are cut into words already.
  std::vector<LabelledSentence> label_words(std::span<const std::vector<std::string>> sentences,
                                            const LabelOptions& options = {}) const;
  /// The encoder's layers ("encoder"), and pooling with the label as the one row ("cross").
  AttentionMaps attention(std::string_view text, const LookOptions& look = {}) const;
  Info info() const;
  const LabellerModel& model() const { return *model_; }

 protected:
  LabelSystem(LabellerModel model, std::string_view task, const LoadOptions& options);
  static LabellerModel read(const std::filesystem::path& directory, std::string_view task);

 private:
  std::vector<LabelledSentence> answer(std::span<const std::vector<std::string>> sentences,
                                       const LabelOptions& options, WordCut cut) const;

  std::shared_ptr<const LabellerModel> model_;
  LoadOptions options_;
};

/// A tag for every word.
class Tagger : public LabelSystem {
 public:
  /// Throws FileError or DataError when the directory is none of a tagger, or damaged.
  static Tagger load(const std::filesystem::path& directory, const LoadOptions& options = {});
  explicit Tagger(LabellerModel model, const LoadOptions& options = {});
  LabelledSentence tag(std::string_view text, const LabelOptions& options = {}) const;
  std::vector<LabelledSentence> tag(std::span<const std::string> texts,
                                    const LabelOptions& options = {}) const {
    return label(texts, options);
  }
};

/// A label for every text or pair of texts; or a number, or several labels.
class Classifier : public LabelSystem {
 public:
  static Classifier load(const std::filesystem::path& directory, const LoadOptions& options = {});
  explicit Classifier(LabellerModel model, const LoadOptions& options = {});
  LabelledSentence classify(std::string_view text, const LabelOptions& options = {}) const;
  /// Of two texts: does the second follow from the first, say.
  LabelledSentence classify_pair(std::string_view first, std::string_view second,
                                 const LabelOptions& options = {}) const;
  std::vector<LabelledSentence> classify(std::span<const std::string> texts,
                                         const LabelOptions& options = {}) const {
    return label(texts, options);
  }
};

/// What a sentence wants, and the slots in it.
class IntentModel : public LabelSystem {
 public:
  static IntentModel load(const std::filesystem::path& directory, const LoadOptions& options = {});
  explicit IntentModel(LabellerModel model, const LoadOptions& options = {});
  LabelledSentence recognise(std::string_view text, const LabelOptions& options = {}) const;
  std::vector<LabelledSentence> recognise(std::span<const std::string> texts,
                                          const LabelOptions& options = {}) const {
    return label(texts, options);
  }
};

}  // namespace qkv
