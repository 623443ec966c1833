// What people say of language models in other words than the configurations': lists of options that
// follow from a configuration, and into which it can be put back.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "qkv/base/options.h"
#include "qkv/models/mpt.h"
#include "qkv/models/rnn_language.h"

namespace qkv {

/// How an MPT knows a token's place.
enum class LanguagePositions : std::uint8_t { alibi, learned, rotary };
constexpr std::array<std::string_view, 3> spelling(LanguagePositions) {
  return {"alibi", "learned", "rotary"};
}

/// What people say of an MPT in other words than its configuration's.
struct MptWords {
  LanguagePositions positions = LanguagePositions::alibi;
  std::string logit_scale = "1";
  bool bias = false;

  template <class Self, class Visit>
  static void each(Self& w, Visit&& visit) {
    visit({"positions", "How a token knows its place"}, w.positions);
    visit({"logit_scale", "A number or inv_sqrt_d_model"}, w.logit_scale);
    visit({"bias", "Biases in products and norms"}, w.bias);
  }
  /// Throws UsageError for a logit_scale that is neither.
  void apply(Mpt::Config& config) const;
};
/// The same of a recurrent network.
struct RnnLanguageWords {
  bool untied = false;

  template <class Self, class Visit>
  static void each(Self& w, Visit&& visit) {
    visit({"untied", "An output matrix of its own"}, w.untied);
  }
  void apply(RnnLanguage::Config& config) const { config.tie_output = !untied; }
};
/// As the configuration has it.
MptWords words_of(const Mpt::Config& config);
RnnLanguageWords words_of(const RnnLanguage::Config& config);

/// char-tiny | char-small | words | base, with ALiBi and without biases. Throws UsageError
/// otherwise.
Mpt::Config mpt_sizes(std::string_view preset);
RnnLanguage::Config rnn_language_sizes(std::string_view preset);

}  // namespace qkv
