// Any bytes as labelled text: columns, CoNLL-U, slots, tables.
#pragma once

#include <string>
#include <vector>

#include "fuzz/scratch.h"
#include "fuzz/target.h"

#include "qkv/base/error.h"
#include "qkv/data/labelled.h"
#include "qkv/data/tag_forms.h"

namespace qkv {

inline void check_labelled(const LabelledText& text) {
  fuzz_require(text.size() > 0, "nothing was read");
  fuzz_require(text.tags.empty() || text.tags.size() == text.words.size(), "sentences differ");
  for (std::size_t i = 0; i < text.tags.size(); ++i) {
    fuzz_require(!text.words[i].empty() && text.words[i].size() == text.tags[i].size(),
                 "words and tags differ");
    for (const std::string& word : text.words[i]) fuzz_require(!word.empty(), "an empty word");
    for (const std::string& tag : text.tags[i]) fuzz_require(!tag.empty(), "an empty tag");
  }
  std::vector<Tags> tags = text.tags;
  if (understand_tags(tags).spans) {
    fuzz_require(tags == text.tags, "tags of spans in another form are left");
    for (const Tags& sentence : tags) {
      const auto length = static_cast<std::int64_t>(sentence.size());
      const Tags again = tags_of(spans_of(sentence), length, TagScheme::iob2);
      fuzz_require(spans_of(again) == spans_of(sentence), "spans change by writing");
    }
  }
}

inline void fuzz_columns(std::string_view bytes) {
  static ScratchFile file;
  const std::string& path = file.write(bytes);
  const auto tolerant = [](auto&& read) {
    try {
      check_labelled(read());
    } catch (const Error&) {
    }
  };
  tolerant([&] { return read_columns(path); });
  tolerant([&] { return read_columns(path, {.tags = 2}); });
  tolerant([&] { return read_columns(path, {.tags = 1, .words = 3}); });
  tolerant([&] { return read_conllu(path); });
  tolerant([&] { return read_conllu(path, "feats"); });
  tolerant([&] { return read_label_table(path); });
  tolerant([&] { return read_slots(path, path, path); });
}

inline std::vector<std::string> columns_seeds() {
  return {"-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n\nPeter NNP I-NP I-PER\n",
          "# id 5c\tdomain=en\nmira _ _ U-PER\nvan _ _ B-LOC\nLo _ _ L-LOC\n\n# id 6\nx _ _ O\n",
          "1\tPaula\tNNP\tB_PER\n2\tleft\tVB\tO\n\n1\t10 000\tCD\tO\n2\tgo\tVB\tO\n",
          "#begin document (x); part 000\nx 0 0 In O\nx 0 1 Rome LOC-B\n\n#end document\n",
          "s-1 a X\ns-2 b Y\n\nt-1 c X\n",
          "# text = "
          "Don't\n1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_\n1\tDo\tdo\tAUX\tVB\tMood=Imp\t2\taux\t_\t_\n"
          "2\tn't\tnot\tPART\tRB\t_\t0\troot\t_\t_\n",
          "pos\tvery good\nneg\tbad\tworse\r\n\nvery bad\tx\n",
          "O B-X I-X\nE-X S-X\n"};
}

}  // namespace qkv
