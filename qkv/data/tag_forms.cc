#include "qkv/data/tag_forms.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "qkv/base/error.h"
#include "qkv/base/notice.h"

namespace qkv {
namespace {

constexpr std::string_view kBetween = "-_:./|=+~#@";

struct Form {
  bool type_first = false;
  char between = '-';
};

struct Parts {
  char letter = 'O';  // as written
  std::string_view type = {};
};

/// The letter of IOBES that a letter of any scheme stands for; 0 for no letter of a scheme.
char letter_of(char letter) {
  switch (letter) {
    case 'O':
    case 'o':
      return 'O';
    case 'B':
    case 'b':
      return 'B';
    case 'I':
    case 'i':
    case 'M':
    case 'm':
      return 'I';
    case 'E':
    case 'e':
    case 'L':
    case 'l':
      return 'E';
    case 'S':
    case 's':
    case 'U':
    case 'u':
    case 'W':
    case 'w':
      return 'S';
    default:
      return 0;
  }
}

std::optional<Parts> parts_of(std::string_view tag, const Form& form) {
  if (tag.size() == 1 && letter_of(tag[0]) != 0) return Parts{tag[0], {}};
  if (tag.size() < 3) return std::nullopt;
  const std::size_t letter = form.type_first ? tag.size() - 1 : 0;
  const std::size_t between = form.type_first ? tag.size() - 2 : 1;
  const char meaning = letter_of(tag[letter]);
  if (tag[between] != form.between || meaning == 0 || meaning == 'O') return std::nullopt;
  return Parts{tag[letter], form.type_first ? tag.substr(0, between) : tag.substr(2)};
}

using Counts = std::map<std::string, std::int64_t, std::less<>>;

/// What a form makes of all tags.
struct Fit {
  Form form;
  std::int64_t typed = 0, untyped = 0, other = 0;
  std::string letters;  // that occur, as written
  std::string example;  // a tag that tag_scheme.h would read otherwise or not at all

  bool has(std::string_view any) const { return letters.find_first_of(any) != std::string::npos; }
};

Fit fit_of(const Counts& counts, const Form& form) {
  Fit fit{.form = form};
  for (const auto& [tag, count] : counts) {
    const std::optional<Parts> parts = parts_of(tag, form);
    if (!parts) {
      fit.other += count;
      continue;
    }
    if (fit.letters.find(parts->letter) == std::string::npos) fit.letters += parts->letter;
    if (!parts->type.empty())
      fit.typed += count;
    else if (letter_of(parts->letter) != 'O')
      fit.untyped += count;
    if (fit.example.empty() && !is_span_tag(tag)) fit.example = tag;
  }
  return fit;
}

/// The form in which the most tags have a type; the usual one unless another explains more.
Fit best_fit(const Counts& counts) {
  Fit best = fit_of(counts, {});
  for (const bool type_first : {false, true}) {
    for (const char between : kBetween) {
      if (best.other == 0) return best;
      Fit fit = fit_of(counts, {.type_first = type_first, .between = between});
      if (fit.typed > best.typed) best = std::move(fit);
    }
  }
  return best;
}

/// Whether letters that tag_scheme.h does not know, in a form it does not know, can mean spans:
/// labels such as S, M and L are sizes, not places.
bool means_spans(const Fit& fit) {
  if (fit.example.empty()) return fit.typed + fit.untyped > 0;
  const bool begins = fit.has("Bb") && fit.has("IiMmEeLl");
  return fit.typed > 0 ? begins || fit.has("Oo") : fit.untyped > 0 && begins;
}

std::string name_of(const Fit& fit) {
  if (fit.form.type_first) return "a type and a letter";
  if (fit.has("MmWw")) return "BMES";
  if (fit.has("LlUu")) return "BILOU";
  if (fit.form.between != '-') return "a letter and a type";
  return fit.example.empty() ? "IOE" : "small letters";
}

void rewrite(std::vector<Tags>& sentences, const Form& form) {
  for (Tags& tags : sentences) {
    for (std::string& tag : tags) {
      const Parts parts = *parts_of(tag, form);
      std::string plain(1, letter_of(parts.letter));
      if (!parts.type.empty()) plain.append("-").append(parts.type);
      tag = std::move(plain);
    }
    tags = convert_tags(tags, TagScheme::iob2);
  }
}

TagPlace place_of_odd(const std::vector<Tags>& sentences, const Form& form) {
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    for (std::size_t j = 0; j < sentences[i].size(); ++j) {
      if (!parts_of(sentences[i][j], form)) return {i, j};
    }
  }
  return {};
}

}  // namespace

TagReading understand_tags(std::vector<Tags>& sentences) {
  Counts counts;
  for (const Tags& tags : sentences) {
    for (const std::string& tag : tags) ++counts[tag];
  }
  const Fit fit = best_fit(counts);
  TagReading reading{.typed = fit.typed, .other = fit.other};
  if (fit.other > 0) {
    reading.odd = place_of_odd(sentences, fit.form);
    return reading;
  }
  reading.spans = means_spans(fit);
  const bool by_end = !fit.has("BbSsUuWw") && fit.has("EeLl");
  if (!reading.spans || (fit.example.empty() && !by_end)) return reading;
  reading.form = name_of(fit);
  reading.example = fit.example;
  for (const auto& [tag, count] : counts) {
    const char letter = parts_of(tag, fit.form)->letter;
    if (reading.example.empty() && letter_of(letter) == 'E') reading.example = tag;
  }
  rewrite(sentences, fit.form);
  return reading;
}

namespace {

/// O beside types without a letter (PER), or brackets, (PER* and *), mean spans that are not read.
void tell_of_places(const std::vector<Tags>& sentences, const std::string& path) {
  std::string_view other;
  bool outside = false, brackets = false;
  for (const Tags& tags : sentences) {
    for (const std::string& tag : tags) {
      outside = outside || tag == "O";
      const bool bracket = tag.size() > 2 && tag.front() == '(';
      brackets = brackets || (bracket && std::string_view("*)").find(tag.back()) != tag.npos);
      if (other.empty() && tag != "O") other = tag;
    }
  }
  if (!outside && !brackets) return;
  notice(
      fmt::format("{}: tags such as '{}' have no letter that says where a span begins (B-PER); so "
                  "they are taken as plain ones, without F1 of spans",
                  path, other));
}

}  // namespace

TagReading settle_tags(std::vector<Tags>& sentences, const std::string& path,
                       const std::function<std::int64_t(TagPlace)>& line_of) {
  TagReading reading = understand_tags(sentences);
  if (!reading.form.empty()) {
    notice(fmt::format("{}: tags such as '{}' ({}) are read as spans", path, reading.example,
                       reading.form));
  }
  if (!reading.odd) return reading;
  if (reading.typed == 0) {
    tell_of_places(sentences, path);
    return reading;
  }
  const std::string& tag = sentences[reading.odd->sentence][reading.odd->word];
  const std::int64_t line = line_of(*reading.odd);
  // One in twenty is a slip of the pen; more is another kind of tags.
  constexpr std::int64_t kSlips = 20;
  if (reading.other * kSlips <= reading.typed) {
    throw DataError(
        path, line,
        fmt::format("'{}' is no tag of spans as {} others are; correct it", tag, reading.typed));
  }
  notice(
      fmt::format("{}:{}: '{}'{} no tag of spans; so all tags are taken as plain ones, without F1 "
                  "of spans",
                  path, line, tag,
                  reading.other > 1 ? fmt::format(" (and {} more) is", reading.other - 1) : " is"));
  return reading;
}

}  // namespace qkv
