#include "qkv/eval/lines.h"

#include <cstdlib>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "qkv/base/error.h"

namespace qkv {

void check_lines(std::string_view score, Lines hypotheses, std::span<const Lines> references) {
  if (references.empty()) fail("{}: no references", score);
  for (std::size_t k = 0; k < references.size(); ++k) {
    if (references[k].size() == hypotheses.size()) continue;
    fail("{}: {} hypotheses but {} references{}; they must be line by line the same sentences",
         score, hypotheses.size(), references[k].size(),
         references.size() > 1 ? fmt::format(" in set {}", k + 1) : "");
  }
  if (hypotheses.empty()) fail("{}: no lines to score", score);
}

std::string score_json(std::string_view name, double score, int digits, std::string_view signature,
                       std::string_view verbose) {
  nlohmann::ordered_json object;
  object["name"] = name;
  object["score"] = std::strtod(fmt::format("{:.{}f}", score, digits).c_str(), nullptr);
  object["signature"] = signature;
  if (!verbose.empty()) object["verbose_score"] = verbose;
  for (std::string_view rest = signature; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find('|'));
    const std::size_t colon = part.find(':');
    object[std::string(part.substr(0, colon))] = part.substr(colon + 1);
    rest.remove_prefix(part.size() < rest.size() ? part.size() + 1 : part.size());
  }
  return object.dump(1);
}

}  // namespace qkv
