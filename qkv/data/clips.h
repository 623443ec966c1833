// Clips of moving skeletons in one text form, plain or gzipped:
//   clip ID LABEL NAME [FIELD …] T J D      then T lines of J·D numbers
// T frames of J joints of D numbers each; FIELDs say what a clip belongs to (train or test, the
// subject, the camera). What does not fit the form is refused with its file and line.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

struct Clip {
  std::string id;
  std::int64_t label = 0;
  std::string name;                 // of the label
  std::vector<std::string> fields;  // between the label's name and T
  std::int64_t frames = 0, joints = 0, values = 0;
  std::vector<float> numbers;  // [T J D]

  std::span<const float> frame(std::int64_t t) const {
    const auto width = static_cast<std::size_t>(joints * values);
    return {numbers.data() + static_cast<std::size_t>(t) * width, width};
  }
};

/// All clips of a file. They must agree in J and D, and a label must have one name. Numbers are
/// finite.
std::vector<Clip> read_clips(const std::string& path);

/// Which clips of a file are meant: conditions between commas that must all hold.
///   train        one of the fields is "train"
///   2=train      the second field is "train" (from 1)
///   s01|s03      … is one of these
/// An empty text means all.
class ClipFilter {
 public:
  /// Throws Error for a text that makes no sense.
  explicit ClipFilter(std::string_view text = {});
  bool operator()(const Clip& clip) const;

 private:
  struct Condition {
    std::int64_t field = 0;  // from 1; 0: any
    std::vector<std::string> words;
  };
  std::vector<Condition> conditions_;
};

/// The clips of a file that a filter lets through; throws DataError when there is none, with the
/// fields of the first clip.
std::vector<Clip> read_clips(const std::string& path, const std::string& filter);

}  // namespace qkv
