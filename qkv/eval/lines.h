// What all scores over line-aligned texts share: the check of their line counts and the JSON form.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qkv {

/// The lines of one reference set, seen without copying.
using Lines = std::span<const std::string>;

/// Throws Error naming the score and both counts when hypotheses and a set differ in length, when
/// there is no line, and when there is no set.
void check_lines(std::string_view score, Lines hypotheses, std::span<const Lines> references);

/// {"name", "score" rounded to digits, "signature", "verbose_score" unless empty, then every
/// key:value of the signature}, indented by one space.
std::string score_json(std::string_view name, double score, int digits, std::string_view signature,
                       std::string_view verbose);

}  // namespace qkv
