// Models of hidden words (BERT) as a user holds them: Encoder turns texts into vectors,
// MaskedModel finds the words behind [MASK]. Both read qkv's directories and Hugging Face's.
//
// After load() nothing is written: any number of threads may ask one of them at once. A text gets
// the same answer whatever stands beside it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/systems/system.h"
#include "qkv/tensor/tensor.h"
#include "qkv/view/attention_maps.h"

namespace qkv {

struct BertModel;  // bert_model.h: what training makes

enum class TextVector : std::uint8_t {
  mean,    ///< of all states, [CLS] and [SEP] included
  cls,     ///< the state of [CLS]
  pooled,  ///< tanh(W h_[CLS] + b)
};
constexpr std::array<std::string_view, 3> spelling(TextVector) { return {"mean", "cls", "pooled"}; }

/// How near two vectors are; larger is nearer. Distances count negative.
enum class Similarity : std::uint8_t { cosine, dot, euclidean, manhattan };
constexpr std::array<std::string_view, 4> spelling(Similarity) {
  return {"cosine", "dot", "euclidean", "manhattan"};
}

struct EmbedOptions {
  std::optional<TextVector> pooling = {};  // unset: as the directory says, else the mean
  std::optional<bool> normalise = {};      // to length 1; unset: as the directory says, else not
  std::int64_t batch_sentences = 64;

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit(
        {"pooling",
         "mean (of all states), cls (the state of [CLS]) or pooled (through the pooler); default: "
         "as the directory says, else mean"},
        o.pooling);
    visit({"normalise", "Vectors of length 1: products are cosines"}, o.normalise);
    visit({"batch_sentences", "Lines a batch, at most", between(1, 1e6)}, o.batch_sentences);
  }
};

/// What both have in common.
class BertSystem {
 public:
  void save(const std::filesystem::path& directory) const;
  /// All layers ("encoder"); the text may hold [MASK], and the title shows it filled.
  AttentionMaps attention(std::string_view text, const LookOptions& look = {}) const;
  Info info() const;
  /// Pieces of a text that the model can hold, [CLS] and [SEP] left out, and how many of this one
  /// are beyond them and not read.
  std::int64_t max_pieces() const;
  std::int64_t cut(std::string_view text) const;
  const BertModel& model() const { return *model_; }

 protected:
  BertSystem(BertModel model, const LoadOptions& options);
  const LoadOptions& load_options() const { return options_; }

 private:
  std::shared_ptr<const BertModel> model_;
  LoadOptions options_;
};

class Encoder : public BertSystem {
 public:
  /// Throws FileError or DataError when the directory holds no such model, or is damaged.
  static Encoder load(const std::filesystem::path& directory, const LoadOptions& options = {});
  explicit Encoder(BertModel model, const LoadOptions& options = {});
  std::vector<float> embed(std::string_view text, const EmbedOptions& options = {}) const;
  /// A row a text: [B W], W numbers of a vector: the width of the network, or what the directory's
  /// last Dense module gives.
  Tensor embed(std::span<const std::string> texts, const EmbedOptions& options = {}) const;
  /// How the directory wants its vectors compared; cosine where it says nothing.
  Similarity similarity() const;
};

struct MaskCandidate {
  std::string piece;
  std::int32_t id = 0;
  double probability = 0;
};
struct FilledText {
  std::string text;                               // each [MASK] replaced by its likeliest piece
  std::vector<std::vector<MaskCandidate>> masks;  // of each [MASK], best first
};

class MaskedModel : public BertSystem {
 public:
  /// Throws DataError also when the model has no head for words.
  static MaskedModel load(const std::filesystem::path& directory, const LoadOptions& options = {});
  explicit MaskedModel(BertModel model, const LoadOptions& options = {});
  /// The `count` likeliest pieces of each [MASK]; special tokens are never named.
  FilledText fill(std::string_view text, int count = 5) const;
  std::vector<FilledText> fill(std::span<const std::string> texts, int count = 5) const;
};

}  // namespace qkv
