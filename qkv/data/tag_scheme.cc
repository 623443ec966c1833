#include "qkv/data/tag_scheme.h"

#include <algorithm>
#include <array>

#include "qkv/base/error.h"

namespace qkv {
namespace {

constexpr std::array<std::string_view, 3> kSchemes = {"iob1", "iob2", "iobes"};

struct Tag {
  char letter = 'O';
  std::string_view type = {};
};

constexpr Tag kOutside = {};

Tag tag_of(std::string_view text) {
  if (!is_span_tag(text)) {
    fail("'{}' is no tag of spans; expected O or B-, I-, E- or S- and a type", text);
  }
  return {text.front(), text.size() > 2 ? text.substr(2) : std::string_view()};
}

/// Whether a span stops between two tags; after the last word `next` is O.
bool ends_between(Tag before, Tag next) {
  if (before.letter == 'O') return false;
  return next.letter == 'O' || next.letter == 'B' || next.letter == 'S' || before.letter == 'E' ||
         before.letter == 'S' || before.type != next.type;
}

/// Whether a span starts at `here`; before the first word `before` is O.
bool starts_at(Tag before, Tag here) {
  if (here.letter == 'O') return false;
  return before.letter == 'O' || here.letter == 'B' || here.letter == 'S' || before.letter == 'E' ||
         before.letter == 'S' || before.type != here.type;
}

std::string write(char letter, const std::string& type) {
  return type.empty() ? std::string(1, letter) : fmt::format("{}-{}", letter, type);
}

bool letter_belongs(char letter, TagScheme scheme) {
  return letter == 'O' || letter == 'B' || letter == 'I' || scheme == TagScheme::iobes;
}

/// Whether the scheme ever writes `next` after `before` (O at either end of the sentence).
bool allowed(Tag before, Tag next, TagScheme scheme) {
  if (!letter_belongs(before.letter, scheme) || !letter_belongs(next.letter, scheme)) return false;
  const bool same = before.letter != 'O' && before.type == next.type;
  if (scheme == TagScheme::iob1) return next.letter != 'B' || same;
  if (scheme == TagScheme::iob2) return next.letter != 'I' || same;
  const bool open = before.letter == 'B' || before.letter == 'I';
  const bool goes_on = next.letter == 'I' || next.letter == 'E';
  return open ? goes_on && same : !goes_on;
}

std::int64_t irregular_in(std::span<const std::string> tags, TagScheme scheme) {
  std::int64_t irregular = 0;
  Tag before = kOutside;
  for (const std::string& text : tags) {
    const Tag tag = tag_of(text);
    if (!allowed(before, tag, scheme)) ++irregular;
    before = tag;
  }
  return irregular + (allowed(before, kOutside, scheme) ? 0 : 1);
}

}  // namespace

std::string_view name_of(TagScheme scheme) { return kSchemes[static_cast<std::size_t>(scheme)]; }

TagScheme scheme_of(std::string_view name) {
  const auto found = std::find(kSchemes.begin(), kSchemes.end(), name);
  if (found == kSchemes.end()) fail("tag scheme '{}' is not one of iob1, iob2, iobes", name);
  return static_cast<TagScheme>(found - kSchemes.begin());
}

bool is_span_tag(std::string_view tag) {
  if (tag == "O") return true;
  if (tag.empty() || std::string_view("BIES").find(tag.front()) == std::string_view::npos) {
    return false;
  }
  return tag.size() == 1 || (tag.size() > 2 && tag[1] == '-');
}

std::vector<TagSpan> spans_of(std::span<const std::string> tags) {
  std::vector<TagSpan> spans;
  Tag before = kOutside;
  bool open = false;
  for (std::size_t i = 0; i <= tags.size(); ++i) {
    const Tag here = i < tags.size() ? tag_of(tags[i]) : kOutside;
    const auto at = static_cast<std::int64_t>(i);
    if (open && ends_between(before, here)) {
      spans.back().end = at;
      open = false;
    }
    if (starts_at(before, here)) {
      spans.push_back({.type = std::string(here.type), .begin = at, .end = at});
      open = true;
    }
    before = here;
  }
  return spans;
}

std::vector<TagSpan> runs_of(std::span<const std::string> tags) {
  Tags inside(tags.begin(), tags.end());
  for (std::string& tag : inside) {
    if (!is_span_tag(tag)) tag.insert(0, "I-");
  }
  return spans_of(inside);
}

Tags tags_of(std::span<const TagSpan> spans, std::int64_t length, TagScheme scheme) {
  Tags tags(static_cast<std::size_t>(length), "O");
  const TagSpan* before = nullptr;
  for (const TagSpan& span : spans) {
    const std::int64_t free_from = before == nullptr ? 0 : before->end;
    if (span.begin < free_from || span.end <= span.begin || span.end > length) {
      fail("tags_of: span [{}, {}) of '{}' does not lie in [{}, {})", span.begin, span.end,
           span.type, free_from, length);
    }
    const bool touches =
        before != nullptr && before->end == span.begin && before->type == span.type;
    for (std::int64_t i = span.begin; i < span.end; ++i) {
      const bool first = i == span.begin, last = i + 1 == span.end;
      char letter = 'I';
      if (first && (scheme != TagScheme::iob1 || touches)) letter = 'B';
      if (scheme == TagScheme::iobes && last) letter = first ? 'S' : 'E';
      tags[static_cast<std::size_t>(i)] = write(letter, span.type);
    }
    before = &span;
  }
  return tags;
}

Tags convert_tags(std::span<const std::string> tags, TagScheme to) {
  return tags_of(spans_of(tags), static_cast<std::int64_t>(tags.size()), to);
}

std::optional<DetectedScheme> detect_scheme(std::span<const Tags> sentences) {
  bool any = false;
  for (const Tags& tags : sentences) {
    for (const std::string& tag : tags) {
      if (!is_span_tag(tag)) return std::nullopt;
      any = any || tag != "O";
    }
  }
  if (!any) return std::nullopt;
  std::optional<DetectedScheme> best;
  for (const TagScheme scheme : {TagScheme::iob2, TagScheme::iobes, TagScheme::iob1}) {
    std::int64_t irregular = 0;
    for (const Tags& tags : sentences) irregular += irregular_in(tags, scheme);
    if (!best || irregular < best->irregular) best = {.scheme = scheme, .irregular = irregular};
  }
  return best;
}

LegalTransitions legal_transitions(std::span<const std::string> tags, TagScheme scheme) {
  std::vector<Tag> parsed;
  for (const std::string& tag : tags) parsed.push_back(tag_of(tag));
  LegalTransitions rules;
  rules.tags = static_cast<std::int64_t>(tags.size());
  for (const Tag& from : parsed) {
    for (const Tag& to : parsed) rules.follows.push_back(allowed(from, to, scheme) ? 1 : 0);
    rules.starts.push_back(allowed(kOutside, from, scheme) ? 1 : 0);
    rules.ends.push_back(allowed(from, kOutside, scheme) ? 1 : 0);
  }
  return rules;
}

}  // namespace qkv
