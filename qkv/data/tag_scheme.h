// How spans of words are written as tags. A tag is O (outside) or a letter and a type, "B-PER":
//   IOB1   I inside; B only where a span touches the one before of the same type
//   IOB2   B at the first word of every span, I at the others
//   IOBES  as IOB2, with E at the last word and S at the only one
// Spans are read from tags as conlleval reads them, which understands all three and gives every
// sequence of tags a meaning: a span begins wherever the tags can only mean that one begins.
// There is one addition, for conlleval knows no S: S is a span of its own, and B after E begins
// one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

using Tags = std::vector<std::string>;  // one a word

enum class TagScheme : std::uint8_t { iob1, iob2, iobes };
constexpr std::array<std::string_view, 3> spelling(TagScheme) { return {"iob1", "iob2", "iobes"}; }
/// "iob1", "iob2", "iobes"; the second form throws Error.
std::string_view name_of(TagScheme scheme);
TagScheme scheme_of(std::string_view name);

/// Words [begin, end) of one type.
struct TagSpan {
  std::string type;
  std::int64_t begin = 0, end = 0;
  auto operator<=>(const TagSpan&) const = default;
};

/// Whether this can be a tag of spans: O, or B, I, E or S alone or followed by "-type".
bool is_span_tag(std::string_view tag);

/// In their order. Throws Error for what is no tag of spans.
std::vector<TagSpan> spans_of(std::span<const std::string> tags);
/// Of tags of any kind: one that is none of spans ("PER", "NOUN") counts as the inside of a span of
/// its name, so that runs of it are spans.
std::vector<TagSpan> runs_of(std::span<const std::string> tags);
/// The tags of `length` words with these spans, which must lie inside and not overlap.
Tags tags_of(std::span<const TagSpan> spans, std::int64_t length, TagScheme scheme);
/// The same spans in another scheme.
Tags convert_tags(std::span<const std::string> tags, TagScheme to);

/// The scheme in which the fewest tags are out of place, and how many are. Nothing when some tag is
/// none of spans (parts of speech, say) or all are O. When nothing tells two schemes apart it is
/// the first of iob2, iobes, iob1.
struct DetectedScheme {
  TagScheme scheme = TagScheme::iob2;
  std::int64_t irregular = 0;
};
std::optional<DetectedScheme> detect_scheme(std::span<const Tags> sentences);

/// Which tag may follow which, as a mask for a CRF; 1 is allowed.
struct LegalTransitions {
  std::int64_t tags = 0;
  std::vector<std::uint8_t> follows;  // [from][to]
  std::vector<std::uint8_t> starts, ends;

  bool may_follow(std::int64_t from, std::int64_t to) const {
    return follows[static_cast<std::size_t>(from * tags + to)] != 0;
  }
};
/// For tags by number. Throws Error for what is no tag of spans.
LegalTransitions legal_transitions(std::span<const std::string> tags, TagScheme scheme);

}  // namespace qkv
