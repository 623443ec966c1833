// The lexicon of the demo corpus as text: one row a word. demo_lexicon.h says what the columns are,
// demo_lexicon.cc reads them.
#pragma once

#include <string_view>

namespace qkv::demo_tables {

extern const std::string_view kPronouns, kNames, kKin, kNouns, kStuff, kVerbs, kActivities,
    kMotions, kPlaces, kSpots, kQualities, kColours, kNumbers, kPast, kFuture, kHabits, kAdverbs,
    kDays, kManners, kVehicles;

}  // namespace qkv::demo_tables
