#include "qkv/data/clips.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "qkv/base/error.h"
#include "qkv/base/number.h"
#include "qkv/base/utf8.h"
#include "qkv/data/lines.h"

namespace qkv {
namespace {

constexpr std::string_view kBlanks = " \t";
// Bounds far above any skeleton; they keep sizes from a hostile header small.
constexpr std::int64_t kMostFrames = 1 << 20, kMostJoints = 1 << 10, kMostValues = 16;

std::vector<std::string_view> split(std::string_view text, std::string_view at) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = text.find_first_not_of(at); begin != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(at, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(at, end);
  }
  return parts;
}

template <class Number>
bool parse(std::string_view text, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

class ClipParser {
 public:
  explicit ClipParser(const std::string& path) : lines_(path) {}

  std::vector<Clip> all() {
    std::vector<Clip> clips;
    std::string line;
    while (lines_.next(line)) {
      if (is_blank(line)) continue;
      clips.push_back(header(line));
      frames(clips.back());
      if (clips.back().joints != clips.front().joints ||
          clips.back().values != clips.front().values) {
        refuse(fmt::format("clip {} has {} joints of {} numbers, the first clip has {} of {}",
                           clips.back().id, clips.back().joints, clips.back().values,
                           clips.front().joints, clips.front().values));
      }
    }
    if (clips.empty()) {
      throw DataError(lines_.name(), 0,
                      "holds no clip; expected clip ID LABEL NAME … FRAMES JOINTS VALUES");
    }
    return clips;
  }

 private:
  [[noreturn]] void refuse(const std::string& reason) const {
    throw DataError(lines_.name(), lines_.line_number(), reason);
  }

  std::int64_t size(std::string_view word, const char* what, std::int64_t most) const {
    std::int64_t value = 0;
    if (!parse(word, value) || value < 1 || value > most) {
      refuse(fmt::format("{} '{}' is not a number from 1 to {}", what, word, most));
    }
    return value;
  }

  Clip header(const std::string& line) {
    const std::vector<std::string_view> words = split(line, kBlanks);
    if (words.front() != "clip" || words.size() < 7) {
      refuse(fmt::format(
          "expected clip ID LABEL NAME … FRAMES JOINTS VALUES, found {} words from '{}' on",
          words.size(), words.front().substr(0, 20)));
    }
    Clip clip;
    clip.id = words[1];
    if (!parse(words[2], clip.label) || clip.label < 0) {
      refuse(fmt::format("label '{}' is no number", words[2]));
    }
    clip.name = words[3];
    const std::string& known = names_.emplace(clip.label, clip.name).first->second;
    if (known != clip.name) {
      refuse(fmt::format("label {} is called '{}' here and '{}' before", clip.label, clip.name,
                         known));
    }
    clip.fields.assign(words.begin() + 4, words.end() - 3);
    clip.frames = size(words[words.size() - 3], "frames", kMostFrames);
    clip.joints = size(words[words.size() - 2], "joints", kMostJoints);
    clip.values = size(words[words.size() - 1], "values", kMostValues);
    return clip;
  }

  void frames(Clip& clip) {
    std::string line;
    for (std::int64_t t = 0; t < clip.frames; ++t) {
      if (!lines_.next(line)) {
        throw DataError(
            lines_.name(), 0,
            fmt::format("ends after {} of the {} frames of clip {}", t, clip.frames, clip.id));
      }
      const std::vector<std::string_view> words = split(line, kBlanks);
      if (static_cast<std::int64_t>(words.size()) != clip.joints * clip.values) {
        refuse(fmt::format("frame {} of clip {} has {} numbers, {} joints of {} are {}", t, clip.id,
                           words.size(), clip.joints, clip.values, clip.joints * clip.values));
      }
      for (const std::string_view word : words) {
        const std::optional<float> value = parse_float(word);
        if (!value) refuse(fmt::format("'{}' is no finite number", word.substr(0, 20)));
        clip.numbers.push_back(*value);
      }
    }
  }

  LineReader lines_;
  std::map<std::int64_t, std::string> names_;
};

}  // namespace

std::vector<Clip> read_clips(const std::string& path) { return ClipParser(path).all(); }

ClipFilter::ClipFilter(std::string_view text) {
  for (const std::string_view part : split(text, ",")) {
    Condition condition;
    const std::size_t equals = part.find('=');
    if (equals != std::string_view::npos &&
        (!parse(part.substr(0, equals), condition.field) || condition.field < 1)) {
      fail("'{}': expected WORD or NUMBER=WORD, fields count from 1", part);
    }
    for (const std::string_view word :
         split(equals == std::string_view::npos ? part : part.substr(equals + 1), "|")) {
      condition.words.emplace_back(word);
    }
    if (condition.words.empty()) fail("'{}': names no word", part);
    conditions_.push_back(std::move(condition));
  }
}

bool ClipFilter::operator()(const Clip& clip) const {
  return std::ranges::all_of(conditions_, [&clip](const Condition& c) {
    const auto wanted = [&c](const std::string& field) {
      return std::ranges::find(c.words, field) != c.words.end();
    };
    if (c.field == 0) return std::ranges::any_of(clip.fields, wanted);
    const auto at = static_cast<std::size_t>(c.field - 1);
    return at < clip.fields.size() && wanted(clip.fields[at]);
  });
}

std::vector<Clip> read_clips(const std::string& path, const std::string& filter) {
  const ClipFilter wanted(filter);
  std::vector<Clip> clips = read_clips(path);
  std::string fields;
  for (const std::string& field : clips.front().fields) fields += " " + field;
  std::erase_if(clips, [&wanted](const Clip& clip) { return !wanted(clip); });
  if (clips.empty()) {
    throw DataError(path, 0,
                    fmt::format("no clip fits '{}'; the fields of the first clip are:{}", filter,
                                fields.empty() ? " none" : fields));
  }
  return clips;
}

}  // namespace qkv
