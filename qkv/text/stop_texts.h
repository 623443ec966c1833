// Texts at which a text ends that comes piece by piece. They may lie across pieces, so what could
// be the beginning of one is held back until it is known not to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qkv {

class StopTexts {
 public:
  /// Empty ones are left out.
  explicit StopTexts(std::vector<std::string> stops);

  /// What may be told now that the piece is there. After a stop text, which is never told, nothing
  /// is. Of several the one that ends first counts, and of those the longest: however the text is
  /// cut into pieces, the same is told.
  std::string add(std::string_view piece);
  bool stopped() const { return stopped_; }
  /// What was held back, at the end of the text.
  std::string finish();

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace qkv
