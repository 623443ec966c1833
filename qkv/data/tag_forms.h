// The many ways in which corpora write tags of spans, read as the one that tag_scheme.h knows. A
// tag is a letter and a type, and files differ in
//   the letters      BILOU and BILUO (U-PER alone, L-PER last), BMES and BMEWO (M inside, W alone),
//                    IOE1 and IOE2 (E last, no B), besides IOB1, IOB2 and IOBES
//   the order        B-PER or PER-B
//   what stands between    B-PER, B_PER, B:PER, …
//   capitals         B-PER or b-per (of the letter; types are kept as they are)
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "qkv/data/tag_scheme.h"

namespace qkv {

/// A tag by its place, for messages.
struct TagPlace {
  std::size_t sentence = 0, word = 0;
};

struct TagReading {
  bool spans = false;  // every tag is one of spans, and some are more than O
  std::string form;    // "BILOU", "PER-B" …: how they were written, when not as tag_scheme.h says
  std::string example;                // a tag in that form
  std::int64_t typed = 0, other = 0;  // tags with a letter and a type; tags that are none of spans
  std::optional<TagPlace> odd;        // the first of the others
};

/// Finds out how the tags are written. When all are tags of spans in another form they are
/// rewritten as IOB2, with the same spans; otherwise they stay as they are.
TagReading understand_tags(std::vector<Tags>& sentences);

/// The same for tags that were read from a file, whose lines `line_of` knows. Another form is told
/// by a notice(). Where at most one tag in twenty is none of spans, throws DataError with the line
/// of the first; where more are, a notice says that all are taken as plain ones.
TagReading settle_tags(std::vector<Tags>& sentences, const std::string& path,
                       const std::function<std::int64_t(TagPlace)>& line_of);

}  // namespace qkv
