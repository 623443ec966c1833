// Forced scoring: how probable a model finds given targets. It walks the same steps as search, so a
// hypothesis that search found gets the very same numbers here, and the same attention.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "qkv/decode/search.h"

namespace qkv {

/// Of options only bos, eos, begin, penalty, coverage and attention count; there are no length
/// limits but the model's. targets[i] is the target of sources[i], without <bos>, begin and <eos>.
/// All pairs run as one batch; BatchTranslator::score makes batches. Throws when the sizes differ,
/// a sequence is longer than the model can hold, or an id lies outside the vocabulary.
std::vector<Hypothesis> score(const StepModel& model, std::span<const Tokens* const> sources,
                              std::span<const Tokens* const> targets, const SearchOptions& options);
std::vector<Hypothesis> score(const StepModel& model, std::span<const Tokens> sources,
                              std::span<const Tokens> targets, const SearchOptions& options);

}  // namespace qkv
