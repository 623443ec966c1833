// Labelled files of any form, for training, evaluating and comparing.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "qkv/base/options.h"
#include "qkv/data/hold_out.h"
#include "qkv/data/labelled.h"

namespace qkv {

enum class LabelTask : std::uint8_t {
  tag,       ///< one label a word
  classify,  ///< one label a sentence
  intent,    ///< both
};
constexpr std::array<std::string_view, 3> spelling(LabelTask) {
  return {"tag", "classify", "intent"};
}

enum class LabelFormat : std::uint8_t { automatic, columns, conllu, slots, table };
constexpr std::array<std::string_view, 5> spelling(LabelFormat) {
  return {"automatic", "columns", "conllu", "slots", "table"};
}

/// Which part of a labelled file is what.
struct LabelFiles {
  LabelFormat format = LabelFormat::automatic;  // by task and name
  std::int64_t column = 0, word_column = 0;
  std::string field = "upos";
  TableForm table;  // not to be set by people: it follows from what is learnt

  template <class Self, class Visit>
  static void each(Self& f, Visit&& visit) {
    visit({"format",
           "Taggers: columns (CoNLL), conllu or slots (a folder with seq.in, seq.out, label); "
           "classifiers: table (label TAB text) or slots; default: by name"},
          f.format);
    visit({"column", "columns: that of the tags, from 1 (0: the last)", between(0, 1e6)}, f.column);
    visit({"word_column",
           "columns: that of the words, from 1 (0: the first, or the one behind a column that "
           "counts them)",
           between(0, 1e6)},
          f.word_column);
    visit({"field", "conllu: upos, xpos, lemma, feats or deprel"}, f.field);
  }
};

/// One file, one folder of slot files, or the three slot files. Checks that the text has what the
/// task needs.
LabelledText read_labelled(const std::vector<std::string>& paths, const LabelFiles& files,
                           LabelTask task);

/// Without validation files: every 10th sentence, at most 1,000, taken out of the training text.
LabelledText hold_out(LabelledText& train);

/// What is learnt from and what judges it; without validation files they are held out.
Split<LabelledText> read_labelling_texts(const std::vector<std::string>& train,
                                         const std::vector<std::string>& valid,
                                         const LabelFiles& files, LabelTask task);

}  // namespace qkv
