// A system as a directory of other programs: what Hugging Face's transformers and
// sentence-transformers read, of a network that one of their classes computes.
//
//   qkv::export_huggingface(qkv::open("en-de"), "en-de-hf");     // AutoModel….from_pretrained()
//
//   MaskedModel, Encoder     BERT and the relatives that a model came from; vectors of texts with
//                            the files of sentence-transformers
//   Tagger, Classifier       …ForTokenClassification, …ForSequenceClassification, over a BERT
//   Generator                GPT-2, Llama, GPT-Neo, MPT (of transformers, else of llm-foundry)
//   Translator               MarianMT, M2M100
// Everything else is refused, and so is a part of these that no class has: by name, with the
// reason. What only training uses (dropout) is written where the class has a field for it.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/systems/open.h"

namespace qkv {

/// Whose directories.
enum class ExportFormat : std::uint8_t {
  huggingface,
  swinir,  ///< of an Upscaler: model.safetensors under the names of SwinIR's released code
};
constexpr std::array<std::string_view, 2> spelling(ExportFormat) {
  return {"huggingface", "swinir"};
}

struct ExportOptions {
  bool drop_rules = false;  // of a tagger: which tag may follow which

  template <class Self, class Visit>
  static void each(Self& o, Visit&& visit) {
    visit({"drop_rules",
           "Taggers: leave out the rules which tag may follow which; transformers takes the best "
           "tag of each token and knows none"},
          o.drop_rules);
  }
};

struct Exported {
  std::string form;                // "BertForMaskedLM"
  std::vector<std::string> notes;  // what is not quite the same there, for people
};

/// Writes the directory `target` as a whole: after an error nothing stands there. Reading it again
/// gives the same numbers to the bit. Throws Error for what has no counterpart, FileError where
/// `target` is there already and not an empty directory, or cannot be written.
Exported export_huggingface(const System& system, const std::filesystem::path& target,
                            const ExportOptions& options = {});
/// The same in a format that is asked for.
Exported export_system(const System& system, const std::filesystem::path& target,
                       ExportFormat format, const ExportOptions& options = {});

}  // namespace qkv
