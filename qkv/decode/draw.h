// Drawn hypotheses in place of searched ones: what a translator writes by chance. The same
// hypotheses as search() gives (search.h), with the model's own scores, however they were drawn.
#pragma once

#include <span>
#include <vector>

#include "qkv/decode/sample.h"
#include "qkv/decode/search.h"

namespace qkv {

/// options.n_best hypotheses of each source, hypothesis n drawn with seed + n, in that order (not
/// by score; they may be equal). Of `options` bos, eos, suppressed, lengths, penalty, coverage and
/// attention count; a hypothesis at its greatest length pays for <eos> like a searched one.
std::vector<std::vector<Hypothesis>> draw(const StepModel& model,
                                          std::span<const Tokens* const> sources,
                                          const SearchOptions& options, const SampleOptions& how);

}  // namespace qkv
