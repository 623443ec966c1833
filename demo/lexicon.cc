#include "demo/lexicon.h"

#include <algorithm>

#include "demo/tables.h"

#include "qkv/base/error.h"

namespace qkv {
namespace {

using namespace demo_tables;

std::vector<std::string> cut(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(at));
    if (!part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(text.size(), part.size() + 1));
  }
  return parts;
}

DemoTable read_table(std::string_view text, std::size_t columns) {
  DemoTable table;
  for (const std::string& line : cut(text, '\n')) {
    DemoEntry row;
    row.words = cut(line, ' ');
    if (row.words.size() != columns + 1) fail("demo lexicon: bad row '{}'", line);
    if (row.words.back() != "-") row.tags = cut(row.words.back(), ',');
    row.words.pop_back();
    for (std::string& word : row.words) {
      if (word == "-") word.clear();
      std::replace(word.begin(), word.end(), '_', ' ');
    }
    table.push_back(std::move(row));
  }
  return table;
}

}  // namespace

bool DemoEntry::has(std::string_view tag) const {
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

bool DemoEntry::has_any(const std::vector<std::string>& wanted) const {
  return std::any_of(wanted.begin(), wanted.end(), [this](const auto& tag) { return has(tag); });
}

const DemoLexicon& demo_lexicon() {
  static const DemoLexicon lexicon = {
      .pronouns = read_table(kPronouns, 4),
      .names = read_table(kNames, 2),
      .kin = read_table(kKin, 2),
      .nouns = read_table(kNouns, 4),
      .stuff = read_table(kStuff, 2),
      .verbs = read_table(kVerbs, 6),
      .activities = read_table(kActivities, 8),
      .motions = read_table(kMotions, 6),
      .places = read_table(kPlaces, 4),
      .spots = read_table(kSpots, 2),
      .qualities = read_table(kQualities, 4),
      .colours = read_table(kColours, 2),
      .numbers = read_table(kNumbers, 2),
      .past = read_table(kPast, 2),
      .future = read_table(kFuture, 2),
      .habits = read_table(kHabits, 2),
      .adverbs = read_table(kAdverbs, 2),
      .days = read_table(kDays, 2),
      .manners = read_table(kManners, 2),
      .vehicles = read_table(kVehicles, 2),
  };
  return lexicon;
}

}  // namespace qkv
